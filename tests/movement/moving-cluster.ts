import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import type { Files } from '../../node/files/files.ts';
import { createNodeFiles, type NodeFiles, type NodeFilesOptions } from '../../node/movement/node-files.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import type { Store } from '../../node/store/store.ts';
import { testMember } from '../files/cluster.ts';
import { type FakeRing, RingControl } from '../files/fake-ring.ts';
import { MemoryNetwork } from '../files/memory-network.ts';

export interface MovingNode extends NodeFiles {
  readonly member: Omit<RingMember, 'phase'>;
  readonly store: Store;
  readonly ring: FakeRing;
}

/** Remembers what its `files/` folder would show. */
export class ShowingStore extends MemoryStore {
  readonly shown = new Set<string>();

  override async exposeFile(record: FileRecord): Promise<void> {
    this.shown.add(record.name);
  }

  override async hideFile(name: string): Promise<void> {
    this.shown.delete(name);
  }
}

export const TIMINGS = {
  idleIntervalMs: 200,
  settleMs: 50,
  firstRetryMs: 20,
  maxRetryMs: 200,
  repairDelayMs: 0,
  foreignDelayMs: 50,
  garbageIntervalMs: 3_600_000,
};

/** Whole nodes, files and movement, over an in-memory network and a ring that the test controls. */
export class MovingCluster {
  readonly network = new MemoryNetwork();
  readonly control = new RingControl();
  readonly nodes = new Map<string, MovingNode>();
  readonly bugs: unknown[] = [];
  readonly #options: Partial<NodeFilesOptions>;
  /** Stores of members that form the ring or join it without bringing their own. */
  storeOf: (name: string) => Store = () => new ShowingStore();

  constructor(options: Partial<NodeFilesOptions> = {}) {
    this.#options = options;
  }

  /** The first members form the ring at once; all others join. */
  async form(names: readonly string[], idOf: (i: number) => number): Promise<void> {
    for (const [i, name] of names.entries()) this.#make(name, idOf(i));
    await this.control.change(
      [...this.nodes.values()].map(({ member }) => ({ ...member, phase: 'active' as const })),
    );
    for (const node of this.nodes.values()) node.movement.start();
    await Promise.all(
      [...this.nodes.values()].map(({ movement }) => movement.whenSynced(AbortSignal.timeout(5_000))),
    );
  }

  /** Adds a node as `joining`; it becomes active when the returned promise resolves. */
  async join(
    name: string,
    id: number,
    options: {
      store?: Store;
      incarnation?: number;
      signal?: AbortSignal;
      beforeActive?: () => Promise<void>;
    } = {},
  ): Promise<MovingNode> {
    const node = this.#make(name, id, options);
    const enter = node.ring.enter.bind(node.ring);
    node.ring.enter = async (phase) => {
      await options.beforeActive?.();
      await enter(phase);
    };
    await this.control.setPhase(node.member, 'joining');
    node.movement.start();
    await node.movement.syncAsJoiner(options.signal ?? AbortSignal.timeout(20_000));
    return node;
  }

  async drain(name: string): Promise<void> {
    const node = this.node(name);
    await node.movement.drain(AbortSignal.timeout(20_000));
    await this.#end(node);
  }

  /** As `kill -9`: no answer any more; the ring learns of it when `bury` is called. */
  async kill(name: string): Promise<void> {
    await this.#end(this.node(name));
  }

  async bury(name: string): Promise<void> {
    await this.control.remove(name);
  }

  /** For the message of a failure. */
  describe(): string {
    return [...this.nodes.entries()]
      .map(
        ([name, { movement }]) =>
          `${name} ${this.control.phaseOf(name)} ${JSON.stringify(movement.progress())}`,
      )
      .join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(({ movement }) => movement.stop()));
  }

  node(name: string): MovingNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** The files as seen by a node that is alive. */
  files(turn = 0): Files {
    const all = [...this.nodes.values()];
    const node = all[turn % all.length];
    if (node === undefined) throw new Error('no node is alive');
    return node.files;
  }

  /** How many of the rightful replicas hold the newest record and all chunks of a file. */
  copiesOf(name: string): number {
    const holders = replicasOf(hashName(name), this.control.members).current.map(({ instanceId }) =>
      this.nodes.get(instanceId),
    );
    const records = holders.flatMap((node) => node?.store.getRecord(name) ?? []);
    const newest = records.sort((a, b) => a.version.counter - b.version.counter).at(-1);
    if (newest === undefined) return 0;
    const chunkCopies = newest.chunks.map(({ key }, index) => {
      const rightful = replicasOf(key, this.control.members).current;
      const has = ({ instanceId }: RingMember) =>
        this.nodes.get(instanceId)?.store.getChunk({ key, uploadId: newest.uploadId, index }) !== undefined;
      return rightful.filter(has).length;
    });
    const recordCopies = records.filter(({ uploadId }) => uploadId === newest.uploadId).length;
    return Math.min(recordCopies, ...chunkCopies);
  }

  #make(name: string, id: number, options: { store?: Store; incarnation?: number } = {}): MovingNode {
    const member = testMember(name, id, options.incarnation ?? 1);
    const ring = this.control.ring(member);
    const store = options.store ?? this.storeOf(name);
    const made = createNodeFiles({
      ...{
        ring,
        store,
        peers: this.network.peersOf(name),
        timings: TIMINGS,
        onBug: (error) => this.bugs.push(error),
      },
      ...this.#options,
    });
    const node = { ...made, member, ring, store };
    this.nodes.set(name, node);
    this.network.down.delete(name);
    this.network.handlers.set(name, made.handlers);
    return node;
  }

  async #end(node: MovingNode): Promise<void> {
    const name = node.member.instanceId;
    node.ring.isAlive = false;
    this.network.down.add(name);
    this.nodes.delete(name);
    this.control.rings.delete(name);
    await node.movement.stop();
  }
}

/** Resolves once the condition holds; fails with what it last was after 10 s. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
