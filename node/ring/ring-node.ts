import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ChordfsError } from '../../domain/errors.ts';
import type { Identifier } from '../../domain/identifier.ts';
import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { DEFAULT_CONFIG } from '../chord/config.ts';
import type { ChordEffect, Command } from '../chord/event.ts';
import { withDeadline } from '../deadline.ts';
import { AddressView } from '../rpc/address-view.ts';
import type { PoolCounters } from '../rpc/peer-pool.ts';
import { RpcMethods } from '../rpc/rpc-methods.ts';
import { type RpcCounters, RpcServer } from '../rpc/rpc-server.ts';
import { CHORD_METHOD } from './call-performer.ts';
import { addClientMethods } from './client-methods.ts';
import { RESTART_METHOD, type RestartStatus, restartStatusCodec, watchForColdStart } from './cold-start.ts';
import { FairTurns } from './fair-turns.ts';
import { type LookupCounters, Lookups } from './lookups.ts';
import { answerCodec, requestCodec } from './message-codec.ts';
import { Milestones } from './milestones.ts';
import { type PeerRpc, peerRpc } from './peer-rpc.ts';
import { PendingAnswers } from './pending-answers.ts';
import type { Ring, RingSnapshot } from './ring.ts';
import { RingLife } from './ring-life.ts';
import type { NextLife, RingEntry, RingOptions } from './ring-options.ts';
import { nextIncarnation, rememberedMembers, rememberPlace, ViewKeeper } from './ring-state-store.ts';
import { TakeOverChecks } from './take-over-checks.ts';

export interface RingCounters {
  /** Calls from others, and their bytes. */
  readonly server: RpcCounters;
  /** Calls to peers, and their bytes. */
  readonly pool: PoolCounters;
  readonly lookups: LookupCounters;
  /** Steps of the core. */
  readonly events: number;
}

/** Longest a course client's `find_successor` is worked on. */
const CLIENT_LOOKUP_MS = 3_000;
/** The core's step costs more the more lookups are open; these keep a local network busy. */
const CLIENT_LOOKUPS = { atOnce: 256, perCaller: 64, waiting: 4_096 };
const REPLACED_RETRY_MS = 500;
const RANDOM_STEPS = 2 ** 32;

type Standing = 'outside' | 'resuming' | 'inRing' | 'left';

/** The ring over sockets: see `openRing`. */
export class RingNode implements Ring {
  /** For the parts above: their own methods, on the ring's connections. */
  readonly peers: PeerRpc;
  readonly #options: RingOptions;
  readonly #methods = new RpcMethods();
  readonly #server: RpcServer;
  readonly #pending = new PendingAnswers();
  readonly #checks = new TakeOverChecks();
  readonly #lookups = new Lookups((command) => this.#command(command));
  readonly #clientLookups = new FairTurns(CLIENT_LOOKUPS);
  readonly #milestones = new Milestones<'inRing' | MemberPhase>();
  readonly #listeners = new Set<(snapshot: RingSnapshot) => void>();
  readonly #keeper: ViewKeeper;
  readonly #stopped = new AbortController();
  #life: RingLife;
  #standing: Standing = 'outside';
  #startedWith: readonly Member[] | undefined;
  #snapshot: RingSnapshot;

  constructor(options: RingOptions) {
    this.#options = options;
    this.#keeper = new ViewKeeper(options.settings);
    this.#life = this.#newLife(options.self);
    this.#snapshot = this.#currentSnapshot(0);
    this.peers = peerRpc(this.#methods, () => this.#life.pool);
    this.#server = new RpcServer({
      methods: this.#methods,
      credentials: () => this.#life.credentials,
      onPeerGone: ({ instanceId }) => this.#life.runner.dispatch({ kind: 'connectionLost', instanceId }),
      onBug: (error, method) => options.onBug?.(error, method),
    });
    this.#addMethods();
  }

  /** Starts to listen; every call is answered "not ready" until `begin`. */
  async listen(): Promise<void> {
    for (const host of this.#options.listen) await this.#server.listen(host, this.#options.self.chordPort);
  }

  /**
   * Gets into the ring. Resolves when this node is in the pointers: owner of the circle after `create`, with its old
   * phase after `resume` (or as a newcomer, when it had been replaced), in phase `joining` after `join`.
   * @throws ChordfsError `DEADLINE_EXCEEDED` when the signal fires first; the attempt goes on until `stop`.
   */
  async begin(entry: RingEntry, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const inRing = this.#milestones.wait('inRing', signal);
    this.#enterRing(entry);
    await inRing;
  }

  snapshot(): RingSnapshot {
    return this.#snapshot;
  }

  owns(key: Identifier): boolean {
    return this.#life.runner.owns(key);
  }

  async lookup(
    key: Identifier,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<{ readonly owner: RingMember }> {
    return { owner: await this.#lookups.find(key, signal) };
  }

  suspect({ instanceId }: RingMember): void {
    this.#command({ kind: 'suspect', instanceId });
  }

  onChange(listener: (snapshot: RingSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async enter(phase: MemberPhase, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const entered = this.#milestones.wait(phase, AbortSignal.any([signal, this.#stopped.signal]));
    this.#command({ kind: 'enter', phase });
    await entered;
  }

  beforeTakeOver(check: Parameters<Ring['beforeTakeOver']>[0]): void {
    this.#checks.register(check);
  }

  counters(): RingCounters {
    return {
      server: this.#server.counters(),
      pool: this.#life.pool.counters(),
      lookups: this.#lookups.counters(),
      events: this.#life.runner.eventCount,
    };
  }

  /** Ends every timer and connection. The ring sees a member that died, unless it had entered `left`. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#checks.stop();
    this.#lookups.stop();
    this.#life.stop();
    await this.#server.close();
    await this.#keeper.flush();
  }

  #newLife(self: Member): RingLife {
    const { ringId, epoch, clusterKey, registry, config, random } = this.#options;
    return new RingLife({
      self,
      cluster: { clusterKey, ringId, epoch },
      config: { ...DEFAULT_CONFIG, registry: registry !== undefined, ...config },
      registry,
      random: random ?? (() => randomInt(RANDOM_STEPS) / RANDOM_STEPS),
      perform: (effect) => this.#perform(effect),
    });
  }

  #addMethods(): void {
    this.peers.handle(CHORD_METHOD, async (params) => {
      const request = requestCodec.decode(params);
      const answer = await this.#pending.ask(request, (callId) =>
        this.#life.runner.dispatch({ kind: 'received', callId, request }),
      );
      return answerCodec.encode(answer);
    });
    this.peers.handle(RESTART_METHOD, async () => restartStatusCodec.encode(this.#restartStatus()));
    const ready = (): RingLife => {
      if (this.#standing !== 'inRing') throw new ChordfsError('NODE_NOT_READY');
      return this.#life;
    };
    const queries = {
      self: () => ready().self,
      findSuccessor: async (id: Identifier, caller: string, gone: AbortSignal) => {
        ready();
        return await withDeadline({ signal: gone, timeoutMs: CLIENT_LOOKUP_MS }, (signal) =>
          this.#clientLookups.run(caller, signal, () => this.#lookups.find(id, signal)),
        );
      },
      predecessor: () => ready().runner.neighbours().predecessor,
      successor: (index: number) => ready().runner.neighbours().successorList[index],
    };
    addClientMethods(this.#methods, queries, new AddressView(this.#options.vpcCidr));
  }

  #enterRing(entry: RingEntry): void {
    switch (entry.role) {
      case 'create':
        this.#command({ kind: 'create' });
        this.#arrived();
        return;
      case 'join':
        this.#command({ kind: 'join', contacts: entry.contacts });
        return;
      case 'resume': {
        this.#standing = 'resuming';
        const contacts = [...entry.contacts, ...rememberedMembers(this.#options.settings)].filter(
          ({ instanceId }) => instanceId !== this.#life.self.instanceId,
        );
        this.#command({ kind: 'resume', contacts });
        this.#watchForColdStart();
      }
    }
  }

  #watchForColdStart(): void {
    const { registry } = this.#options;
    if (registry === undefined) return;
    void watchForColdStart({
      self: this.#life.self,
      registry,
      pool: this.#life.pool,
      isResuming: () => this.#standing === 'resuming',
      begin: (members) => {
        this.#startedWith = members;
        this.#command({ kind: 'coldStart', members });
        this.#arrived();
      },
      signal: this.#stopped.signal,
    });
  }

  #restartStatus(): RestartStatus {
    const phase = this.#standing === 'resuming' || this.#standing === 'inRing' ? this.#standing : 'newcomer';
    return { phase, self: this.#life.self, startedWith: this.#startedWith };
  }

  #command(command: Command): void {
    this.#life.runner.dispatch({ kind: 'commanded', command });
  }

  #perform(effect: ChordEffect): void {
    switch (effect.kind) {
      case 'answer':
        this.#pending.answer(effect.callId, effect.answer);
        break;
      case 'checkTakeOver':
        this.#checkTakeOver(effect);
        break;
      case 'lookupEnded':
        this.#lookups.ended(effect.lookupId, effect.outcome);
        break;
      case 'viewChanged':
        this.#viewChanged();
        break;
      case 'joined':
      case 'resumed':
        this.#arrived();
        break;
      case 'entered':
        if (effect.phase === 'left') this.#standing = 'left';
        this.#milestones.reached(effect.phase);
        break;
      case 'replaced':
        this.#replaced();
        break;
      case 'call':
      case 'askRegistry':
        // Performed by the life itself.
        break;
    }
  }

  #checkTakeOver({ checkId, from, to }: Extract<ChordEffect, { kind: 'checkTakeOver' }>): void {
    const { runner } = this.#life;
    this.#checks.run(checkId, { from, to }, () => runner.dispatch({ kind: 'takeOverChecked', checkId }));
  }

  #arrived(): void {
    this.#standing = 'inRing';
    const { ringId, settings, onBug } = this.#options;
    const { id, incarnation } = this.#life.self;
    rememberPlace(settings, { ringId, position: id, incarnation }).catch((error: unknown) =>
      onBug?.(error, 'rememberPlace'),
    );
    this.#viewChanged();
    this.#milestones.reached('inRing');
  }

  #viewChanged(): void {
    this.#snapshot = this.#currentSnapshot(this.#snapshot.version + 1);
    this.#keeper.keep(this.#snapshot.members);
    this.#life.pool.retain(this.#snapshot.members);
    for (const listener of [...this.#listeners]) listener(this.#snapshot);
  }

  #currentSnapshot(version: number): RingSnapshot {
    const members = this.#life.runner.members();
    const { self } = this.#life;
    const own = members.find(({ instanceId }) => instanceId === self.instanceId);
    const phase = this.#standing === 'left' ? 'left' : 'joining';
    return { version, ringId: this.#options.ringId, self: own ?? { ...self, phase }, members };
  }

  /** This life is over: the arc is another's. The next one begins as a newcomer, in the same process. */
  #replaced(): void {
    if (this.#standing === 'left') return;
    this.#standing = 'outside';
    this.#startedWith = undefined;
    this.#nextLife().then(
      ({ self, contacts }) => {
        if (this.#stopped.signal.aborted) return;
        this.#life.stop();
        this.#life = this.#newLife(self);
        this.#viewChanged();
        this.#lookups.interrupt();
        this.#enterRing({ role: 'join', contacts });
      },
      (error: unknown) => this.#options.onBug?.(error, 'onReplaced'),
    );
  }

  async #nextLife(): Promise<NextLife> {
    const contacts = this.#snapshot.members.filter(
      ({ instanceId }) => instanceId !== this.#life.self.instanceId,
    );
    while (!this.#stopped.signal.aborted) {
      try {
        if (this.#options.onReplaced !== undefined) return await this.#options.onReplaced();
        const incarnation = await nextIncarnation(this.#options.settings);
        return { self: { ...this.#life.self, incarnation }, contacts };
      } catch (error) {
        this.#options.onBug?.(error, 'onReplaced');
        await pause(REPLACED_RETRY_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      }
    }
    throw new ChordfsError('NODE_DRAINING', { reason: 'stopped' });
  }
}

/**
 * Opens this node's port and prepares it for the ring: register peer methods (`peers.handle`) and `beforeTakeOver`,
 * then `begin`.
 */
export async function openRing(options: RingOptions): Promise<RingNode> {
  const node = new RingNode(options);
  await node.listen();
  return node;
}
