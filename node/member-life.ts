import assert from 'node:assert/strict';
import { ChordfsError } from '../domain/errors.ts';
import { formatIdentifier } from '../domain/identifier.ts';
import type { Member } from '../domain/member.ts';
import { CHORD_PORT, HTTP_PORT } from '../domain/node-environment.ts';
import { timing } from '../domain/timing.ts';
import type { NodeEnvironment } from './environment.ts';
import type { ChunkReads } from './files/chunk-reader.ts';
import { createPeerClient } from './files/peer-client.ts';
import { peerRoutes } from './files/peer-routes.ts';
import type { Front } from './front.ts';
import { memberKeyOf } from './http/peer-auth.ts';
import type { StatusReport } from './http/status-routes.ts';
import { describeError, type Log } from './log.ts';
import type { Assignment, Membership, NodeIdentity } from './membership/membership.ts';
import type { Movement } from './movement/movement.ts';
import { createNodeFiles, type NodeFilesOptions } from './movement/node-files.ts';
import { openRing, type RingNode } from './ring/ring-node.ts';
import type { NextLife, RingEntry } from './ring/ring-options.ts';
import { nextIncarnation, rememberedPlace } from './ring/ring-state-store.ts';
import type { Store } from './store/store.ts';
import { measureUsage, movementReport } from './usage.ts';

/** Differences from the defaults, for campaigns that cannot wait for a grace period of ten minutes. */
export type Tuning = Pick<NodeFilesOptions, 'timings' | 'garbageLimits'>;

export interface MemberLifeOptions {
  readonly environment: NodeEnvironment;
  readonly tuning?: Tuning | undefined;
  /** Whether members of this stage speak TLS to each other. */
  readonly isTls: boolean;
  readonly log: Log;
  readonly store: Store;
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  readonly front: Front;
  /** Ends this life where it is. */
  readonly signal: AbortSignal;
}

/**
 * How long clients may go on using their connections to a node that has left. `idleMs`: longer than a client pauses
 * between two requests; `longestMs`: what an upload under way gets, and the order to leave is late by at most.
 */
const RETIREMENT = { idleMs: 3_000, longestMs: 30_000 };

interface Parts {
  readonly ring: RingNode;
  readonly movement: Movement;
  readonly chunkReads: () => ChunkReads;
  readonly closePeers: () => void;
}

/** How a life ends without an error: it has left the ring, or another ring was formed without it. */
export type LifeEnd = 'left' | 'fenced';

/**
 * One membership of a ring, from the assignment of a place to its end: the order in which the control plane, the
 * protocol and the movement of data take their turns.
 */
export class MemberLife {
  readonly #options: MemberLifeOptions;
  readonly #ended = settleable<LifeEnd>();
  #station: 'assigning' | 'joining' | 'receiving' | 'serving' | 'draining' | 'left' = 'assigning';
  #parts: Parts | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: MemberLifeOptions) {
    this.#options = options;
    // Whoever runs this life may have stopped to listen when it fails.
    this.#ended.promise.catch(() => undefined);
  }

  /** @throws the signal's reason, or what makes going on impossible. */
  async run(): Promise<LifeEnd> {
    const { membership, store, signal, log } = this.#options;
    const stop = () => this.#ended.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const assignment = await membership.awaitAssignment({ signal, remembered: rememberedPlace(store) });
      const { role, ringId, position } = assignment;
      log('info', 'place assigned', { role, ringId, id: formatIdentifier(position) });
      this.#station = 'joining';
      const incarnation = await nextIncarnation(store);
      await membership.startJoining({ signal, incarnation });
      const parts = await this.#open(assignment, this.#self(assignment, incarnation));
      await parts.ring.begin(entryOf(assignment), { signal });
      parts.movement.start();
      membership.startHeartbeats(() => ({
        ...measureUsage(store, parts.ring.snapshot()),
        movement: movementReport(parts.movement.progress()),
      }));
      if ((await this.#becomeActive(parts)) === 'fenced') return 'fenced';
      membership.watch({
        drain: (notice) => void this.#drain(parts, notice),
        fenced: (reason) => this.#ended.reject(new ChordfsError('FORBIDDEN', { reason })),
      });
      return await this.#ended.promise;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Ends every timer, connection and transfer of this life. Safe to repeat. */
  stop(): Promise<void> {
    this.#stopped ??= this.#close();
    return this.#stopped;
  }

  status(): StatusReport {
    const { identity } = this.#options;
    const isReady = this.#station === 'serving' || this.#station === 'draining';
    const snapshot = this.#parts?.ring.snapshot();
    return {
      isHealthy: true,
      isReady,
      reasons: isReady ? [] : [`${this.#station}: not serving`],
      facts: {
        station: this.#station,
        ...identity,
        ringId: snapshot?.ringId,
        id: snapshot === undefined ? undefined : formatIdentifier(snapshot.self.id),
        phase: snapshot?.self.phase,
        members: snapshot?.members.map(({ id, ...member }) => ({ id: formatIdentifier(id), ...member })),
        store: this.#options.store.usage(),
        movement: this.#parts?.movement.progress(),
        chunkReads: this.#parts?.chunkReads(),
        ring: this.#parts?.ring.counters(),
      },
    };
  }

  #self({ position }: Assignment, incarnation: number): Member {
    const { instanceId, privateIp, publicIp, availabilityZone } = this.#options.identity;
    return {
      id: position,
      incarnation,
      ...{ instanceId, privateIp, publicIp, availabilityZone },
      chordPort: CHORD_PORT,
      httpPort: HTTP_PORT,
    };
  }

  async #open({ ringId, epoch, clusterKey }: Assignment, self: Member): Promise<Parts> {
    const { environment, isTls, membership, store, front, log, identity } = this.#options;
    const onBug = (error: unknown, where?: string) => log('error', 'bug', { where, ...describeError(error) });
    const ring = await openRing({
      ...{ self, ringId, epoch, clusterKey, onBug },
      listen: environment.listen,
      vpcCidr: environment.vpcCidr,
      registry: membership.registry(),
      settings: store,
      onReplaced: () => this.#nextLife(ring),
    });
    const credentials = { ringId, clusterKey };
    const peers = createPeerClient({
      ...{ localAddress: identity.privateIp, isTls },
      credentials: () => credentials,
    });
    const { files, movement, handlers, chunkReads } = createNodeFiles({
      ...{ ring, store, peers, onBug },
      ...this.#options.tuning,
    });
    this.#parts = { ring, movement, chunkReads, closePeers: () => peers.close() };
    const peerRouter = peerRoutes({ handlers, credentials: () => credentials, onBug });
    front.serve({ files, peerRouter, memberKey: memberKeyOf(credentials) });
    return this.#parts;
  }

  /** Ownership moves after data: a newcomer holds everything of its arcs before it counts as a replica. */
  async #becomeActive({ ring, movement }: Parts): Promise<'active' | 'fenced'> {
    const { membership, signal, log } = this.#options;
    if (ring.snapshot().self.phase === 'joining') {
      this.#station = 'receiving';
      await movement.syncAsJoiner(signal);
    }
    const outcome = await membership.becomeActive(signal);
    if (outcome === 'active') {
      this.#station = 'serving';
      log('info', 'serving', { movement: movement.progress() });
    }
    return outcome;
  }

  /** This node was away so long that others took its arc: it comes back as a newcomer that brings its data along. */
  async #nextLife(ring: RingNode): Promise<NextLife> {
    const { membership, store, signal, log } = this.#options;
    assert(this.#parts !== undefined);
    const parts = this.#parts;
    this.#station = 'joining';
    const incarnation = await nextIncarnation(store);
    log('warn', 'replaced while away, joining again', { incarnation });
    await membership.startJoining({ signal, incarnation });
    const stopListening = ring.onChange(({ self, members }) => {
      const isAdmitted = members.some(({ instanceId }) => instanceId === self.instanceId);
      if (!isAdmitted || self.incarnation !== incarnation) return;
      stopListening();
      this.#becomeActive(parts).then(
        (outcome) => outcome === 'fenced' && this.#ended.resolve('fenced'),
        (error: unknown) => this.#ended.reject(error),
      );
    });
    return { self: { ...ring.snapshot().self, incarnation }, contacts: await membership.contacts(signal) };
  }

  async #drain(
    { movement }: Parts,
    { cause, skip }: { readonly cause: string; readonly skip: boolean },
  ): Promise<void> {
    const { environment, membership, front, signal, log } = this.#options;
    this.#station = 'draining';
    log('info', 'draining', { cause, skip });
    try {
      const isDrained =
        skip || (await this.#handOver(movement, timing(environment.timeScale).drainLongestMs));
      this.#station = 'left';
      // Out of the ring, and still able to take requests to those that are in it: nobody is cut off.
      if (!skip) await front.retire(RETIREMENT);
      await membership.leave({ reason: cause, isDrained, signal });
      log('info', 'left', { cause, isDrained });
      this.#ended.resolve('left');
    } catch (error) {
      this.#ended.reject(error);
    }
  }

  /** A drain that overruns its time ends all the same: the instance goes, and the other copies have to do. */
  async #handOver(movement: Movement, longestMs: number): Promise<boolean> {
    const { signal, log } = this.#options;
    const deadline = AbortSignal.timeout(longestMs);
    try {
      await movement.drain(AbortSignal.any([signal, deadline]));
      return true;
    } catch (error) {
      if (!deadline.aborted) throw error;
      log('error', 'drain not finished in time', { longestMs, movement: movement.progress() });
      return false;
    }
  }

  async #close(): Promise<void> {
    if (this.#parts === undefined) return;
    const { ring, movement, closePeers } = this.#parts;
    this.#options.front.serve(undefined);
    await movement.stop();
    await ring.stop();
    closePeers();
  }
}

interface Settleable<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Promise.withResolvers, which Node 20 does not have. */
function settleable<T>(): Settleable<T> {
  let settle: Omit<Settleable<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  assert(settle !== undefined);
  return { promise, ...settle };
}

function entryOf({ role, seeds }: Assignment): RingEntry {
  switch (role) {
    case 'creator':
      return { role: 'create' };
    case 'joiner':
      return { role: 'join', contacts: seeds };
    case 'resumed':
      return { role: 'resume', contacts: seeds };
  }
}
