import { hashChunk, hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, REPLICA_COUNT } from '../../domain/file-record.ts';
import { clockwiseDistance, type Identifier } from '../../domain/identifier.ts';
import { placeFor } from '../../domain/joiner-place.ts';
import type { MemberRecord } from '../../domain/member-record.ts';
import { parseMeta } from '../../domain/ring-meta.ts';
import { decideScaleOut, type ScaleDecision } from '../../domain/scaling.ts';
import { timing } from '../../domain/timing.ts';
import { measureUsage } from '../../node/usage.ts';
import { Dice } from '../../tests/simulation/random.ts';
import { drawSize, type SizeDistribution } from './file-sizes.ts';
import { type Arc, StoredFiles } from './stored-files.ts';

/** `bytes`: where the product puts a newcomer. `hash`: at a hash of its address, as the course's nodes did. */
export type PlacementPolicy = 'bytes' | 'hash';

export interface GrowthOptions {
  readonly seed: number;
  readonly policy: PlacementPolicy;
  readonly sizes: SizeDistribution;
  readonly capacityBytes: number;
  readonly thresholdPercent: number;
  readonly maxSize: number;
}

interface Node {
  readonly instanceId: string;
  readonly id: Identifier;
}

const RING_ID = 'ring';
/** Long ago: every decision is made on a ring that has settled. */
const SETTLED_MS = 0;

/**
 * A ring that fills, seen as the control plane sees it: heartbeats made by the node's own measurement, decisions and
 * places by the functions the Lambdas call. Only sockets, clocks and disks are missing.
 */
export class GrowingRing {
  readonly files = new StoredFiles();
  readonly #options: GrowthOptions;
  readonly #dice: Dice;
  #nodes: Node[] = [];
  #stored = new Map<string, number>();
  #fileCount = 0;
  #nodeCount = 0;

  constructor(options: GrowthOptions) {
    this.#options = options;
    this.#dice = new Dice(options.seed);
    this.#admit([this.#place([])]);
  }

  get memberCount(): number {
    return this.#nodes.length;
  }

  /** Bytes each member stores, copies included. */
  stored(): readonly number[] {
    return this.#nodes.map(({ instanceId }) => this.#stored.get(instanceId) ?? 0);
  }

  fullestShare(): number {
    return Math.max(...this.stored()) / this.#options.capacityBytes;
  }

  /** The bytes of all copies as a share of all volumes. */
  utilisation(): number {
    const sum = this.stored().reduce((total, bytes) => total + bytes, 0);
    return sum / (this.#options.capacityBytes * this.memberCount);
  }

  maxToMean(): number {
    const stored = this.stored();
    return Math.max(...stored) / (stored.reduce((total, bytes) => total + bytes, 0) / stored.length);
  }

  /** Uploads one file after another until the fullest volume is above the threshold. */
  fillUntilAlarm(): void {
    while (100 * this.fullestShare() < this.#options.thresholdPercent) this.#upload();
  }

  decide(): ScaleDecision {
    const { maxSize, thresholdPercent } = this.#options;
    const meta = { ...parseMeta(undefined), status: 'ACTIVE' as const, ringId: RING_ID, epoch: 1 };
    const instances = this.#nodes.map(({ instanceId }) => ({ instanceId, lifecycleState: 'InService' }));
    const group = { minSize: 1, maxSize, desiredCapacity: instances.length, instances };
    const members = this.#nodes.map((node) => this.#record(node));
    const when = { scaleKey: 'alarm', timing: timing(1), nowMs: timing(1).scaleCooldownMs };
    return decideScaleOut({ meta, members, group, thresholdPercent, ...when });
  }

  /** Launches nodes together: each claims its place in turn, then all of them join. */
  grow(count: number): void {
    const launched: Node[] = [];
    for (let index = 0; index < count; index++) launched.push(this.#place(launched));
    this.#admit(launched);
  }

  #upload(): void {
    const name = `file ${this.#fileCount++} of run ${this.#options.seed}`;
    const sizeBytes = drawSize(this.#dice, this.#options.sizes);
    for (let offset = 0, index = 0; offset < sizeBytes; offset += CHUNK_SIZE_BYTES, index++) {
      const key = sizeBytes <= CHUNK_SIZE_BYTES ? hashName(name) : hashChunk(name, index, 'upload');
      this.#store(key, Math.min(CHUNK_SIZE_BYTES, sizeBytes - offset));
    }
  }

  #store(key: Identifier, bytes: number): void {
    this.files.add(key, bytes);
    const first = this.#nodes.findIndex(({ id }) => id >= key);
    for (let step = 0; step < Math.min(REPLICA_COUNT, this.memberCount); step++) {
      const node = this.#nodes[(Math.max(first, 0) + step) % this.memberCount];
      if (node !== undefined)
        this.#stored.set(node.instanceId, (this.#stored.get(node.instanceId) ?? 0) + bytes);
    }
  }

  #place(launched: readonly Node[]): Node {
    const instanceId = `i-${this.#nodeCount++}`;
    const hashed = hashName(`10.0.${this.#options.seed % 256}.${this.#nodeCount}:5057`);
    if (this.#options.policy === 'hash') return { instanceId, id: hashed };
    const members = [
      ...this.#nodes.map((node) => this.#record(node)),
      ...launched.map((node) => blankRecord(node, 'ASSIGNED')),
    ];
    const newcomer = { instanceId, availabilityZone: '' };
    return {
      instanceId,
      id: placeFor(newcomer, { ringId: RING_ID, members, claims: [], taken: [] }) ?? hashed,
    };
  }

  #admit(launched: readonly Node[]): void {
    this.#nodes = [...this.#nodes, ...launched].sort((a, b) => a.id - b.id);
    const owned = this.#nodes.map(
      ({ id }, index) =>
        this.files.inArc({ from: (this.#nodes.at(index - 1) ?? this.#nodes[0])?.id ?? id, to: id }).sizeBytes,
    );
    this.#stored = new Map(
      this.#nodes.map(({ instanceId }, index) => {
        let sum = 0;
        for (let back = 0; back < Math.min(REPLICA_COUNT, owned.length); back++)
          sum += owned.at(index - back) ?? 0;
        return [instanceId, sum];
      }),
    );
  }

  /** The member's row with what its node would report. */
  #record(node: Node): MemberRecord {
    const members = this.#nodes.map(ringMember);
    const usedBytes = this.#stored.get(node.instanceId) ?? 0;
    const digestOf = (arc: Arc) => ({ ...this.files.inArc(arc), hash: '' });
    const store = {
      usage: () => ({ usedBytes, capacityBytes: this.#options.capacityBytes, fileCount: 0 }),
      digestRecords: digestOf,
      digestChunks: digestOf,
    };
    const usage = measureUsage(store, { version: 1, ringId: RING_ID, self: ringMember(node), members });
    return { ...blankRecord(node, 'ACTIVE'), usage };
  }

  /** How far apart the closest two members are: newcomers must never crowd into one arc. */
  narrowestArc(): number {
    return Math.min(
      ...this.#nodes.map(
        ({ id }, index) => clockwiseDistance(this.#nodes.at(index - 1)?.id ?? id, id) || 2 ** 32,
      ),
    );
  }
}

function ringMember({ instanceId, id }: Node) {
  const place = { id, instanceId, incarnation: 1, phase: 'active' as const, availabilityZone: '' };
  return { ...place, privateIp: '10.0.0.1', publicIp: '10.0.0.1', chordPort: 5057, httpPort: 5058 };
}

function blankRecord({ instanceId, id }: Node, state: 'ACTIVE' | 'ASSIGNED'): MemberRecord {
  return {
    ...{ instanceId, state, role: 'joiner', position: id, ringId: RING_ID, epoch: 1, incarnation: 1 },
    ...{ privateIp: '10.0.0.1', publicIp: '10.0.0.1', availabilityZone: '' },
    ...{ launchToken: undefined, terminateToken: undefined, createdMs: SETTLED_MS, stateMs: SETTLED_MS },
    ...{ heartbeatMs: SETTLED_MS, deadlineMs: undefined, reason: undefined, usage: undefined, outbox: false },
  };
}
