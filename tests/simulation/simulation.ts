/**
 * A whole ring in one process: the real core of every node over a virtual network and clock. Everything that is
 * random comes from one seed, so a run is repeated exactly by its number.
 */
import { type Identifier, identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import type { ChordEffect, ChordEvent, Command, LookupOutcome } from '../../node/chord/event.ts';
import { createNode, step } from '../../node/chord/step.ts';
import { EventQueue } from './event-queue.ts';
import { Dice } from './random.ts';
import { SimulatedCalls } from './simulated-calls.ts';
import { SimulatedNode } from './simulated-node.ts';
import type { MessageSizes, SimulationOptions } from './simulation-options.ts';
import { describeEvent } from './trace.ts';
import { VirtualNetwork } from './virtual-network.ts';
import { VirtualRegistry } from './virtual-registry.ts';

/** How long a newcomer pulls its records, and a leaver pushes them; how long a take-over compares them. */
const TRANSFER_MS = 300;
const CHECK_MS = 20;
const REGISTRY_DELAY_MS = 10;
const COLD_START_POLL_MS = 300;

export class Simulation {
  readonly queue = new EventQueue();
  readonly dice: Dice;
  readonly network: VirtualNetwork;
  readonly registry = new VirtualRegistry();
  readonly nodes = new Map<string, SimulatedNode>();
  readonly config: ChordConfig;
  /** When each instance last asked for the members, answered or not. */
  readonly askedTableAtMs = new Map<string, number>();
  readonly lookups = new Map<number, LookupOutcome>();
  /** `owner/key` of every "mine" that was said, to others or to itself. */
  readonly confirmations = new Set<string>();
  /** Lookups that ended with an owner who never said so. */
  readonly unconfirmed: string[] = [];
  readonly counts = { calls: 0, events: 0, replaced: 0, bytes: 0 };
  readonly callsByKind = new Map<string, number>();
  /** For traffic figures only: messages are measured when it is set. */
  sizes: MessageSizes | undefined;
  readonly #options: SimulationOptions;
  readonly #calls = new SimulatedCalls(this);
  #serial = 0;
  readonly #lookedUp = new Map<number, Identifier>();

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.config = options.config ?? DEFAULT_CONFIG;
    this.dice = new Dice(options.seed);
    this.network = new VirtualNetwork(this.dice);
  }

  get nowMs(): number {
    return this.queue.nowMs;
  }

  trace(line: () => string): void {
    this.#options.trace?.(`${this.nowMs.toFixed(1).padStart(10)} ${line()}`);
  }

  /** A machine that is not running yet. */
  addNode(id: Identifier, instanceId = `i-${this.nodes.size}`): SimulatedNode {
    const host = this.nodes.size + 1;
    const address = `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
    const member: Member = {
      id,
      instanceId,
      incarnation: 1,
      privateIp: address,
      publicIp: address,
      chordPort: 5057,
      httpPort: 5058,
      availabilityZone: 'us-east-1a',
    };
    const skew = this.#options.clockSkew ?? 0;
    const node = new SimulatedNode(member, this.config, {
      rate: 1 + this.dice.between(-skew, skew),
      offsetMs: this.dice.between(0, 1e6),
    });
    this.nodes.set(instanceId, node);
    return node;
  }

  randomId(): Identifier {
    return identifier(this.dice.integer(0, 2 ** 32));
  }

  start(node: SimulatedNode): void {
    node.isUp = true;
    node.isFrozen = false;
    node.life += 1;
    node.backlog.length = 0;
    node.wakePlannedMs = Number.POSITIVE_INFINITY;
    node.startedWith = undefined;
    node.state = createNode(node.member, this.config);
  }

  command(node: SimulatedNode, command: Command): void {
    this.deliver(node, { kind: 'commanded', command });
  }

  create(node: SimulatedNode): void {
    this.start(node);
    this.registry.write(node.member, 'active');
    this.command(node, { kind: 'create' });
  }

  join(node: SimulatedNode): void {
    if (!node.isUp) this.start(node);
    this.registry.write(node.member, 'joining');
    const contacts = this.contactsFor(node);
    this.command(node, { kind: 'join', contacts });
  }

  contactsFor(node: SimulatedNode): readonly Member[] {
    const rows = this.registry
      .rows()
      .filter(({ instanceId, phase }) => instanceId !== node.member.instanceId && phase !== 'joining');
    const first = this.dice.integer(0, Math.max(1, rows.length));
    return [...rows.slice(first), ...rows.slice(0, first)].slice(0, 3);
  }

  /** The process ends at once: its kernel refuses or resets everything from now on. */
  crash(node: SimulatedNode): void {
    if (!node.isUp) return;
    this.trace(() => `crash ${node.member.instanceId}`);
    node.isUp = false;
    node.isFrozen = false;
    node.life += 1;
    node.backlog.length = 0;
    this.#calls.resetAll(node);
    for (const other of this.nodes.values()) this.#tellLoss(node, other);
  }

  #tellLoss(lost: SimulatedNode, other: SimulatedNode): void {
    const { instanceId } = lost.member;
    if (other === lost || !other.isInside || this.network.isCut(instanceId, other.member.instanceId)) return;
    if (!other.isConnectedTo(lost.member)) return;
    const { life } = other;
    this.queue.after(this.network.delayMs(), () => {
      if (other.life === life) this.deliver(other, { kind: 'connectionLost', instanceId });
    });
  }

  /** Back after a crash, one incarnation later. */
  restart(node: SimulatedNode): void {
    if (node.isUp || node.isGone) return;
    this.trace(() => `restart ${node.member.instanceId}`);
    node.member = { ...node.member, incarnation: node.member.incarnation + 1 };
    node.isLeaving = false;
    this.start(node);
    const row = this.registry.find(node.member.instanceId);
    if (row === undefined || row.phase === 'joining') {
      this.join(node);
      return;
    }
    this.registry.write(node.member, row.phase);
    this.command(node, { kind: 'resume', contacts: this.registry.rows() });
    this.#watchForColdStart(node, node.life);
  }

  /** The runner's policy (node/ring/cold-start.ts) when nobody is left who could say whose arc is whose. */
  #watchForColdStart(node: SimulatedNode, life: number): void {
    this.queue.after(COLD_START_POLL_MS, () => {
      if (node.life !== life || node.state.standing !== 'resuming') return;
      if (node.isFrozen || !this.registry.isAvailable) {
        this.#watchForColdStart(node, life);
        return;
      }
      const members = this.#agreedMembers(node);
      if (members === undefined) this.#watchForColdStart(node, life);
      else {
        node.startedWith = members;
        this.command(node, { kind: 'coldStart', members });
      }
    });
  }

  #agreedMembers(node: SimulatedNode): readonly Member[] | undefined {
    const listed = this.registry
      .rows()
      .filter(({ instanceId, phase }) => instanceId !== node.member.instanceId && phase !== 'joining')
      .map(({ instanceId }) => this.nodes.get(instanceId));
    for (const other of listed) {
      const isReachable =
        other?.isUp === true &&
        !other.isFrozen &&
        !this.network.isCut(node.member.instanceId, other.member.instanceId) &&
        !this.network.isCut(other.member.instanceId, node.member.instanceId);
      if (!isReachable || other === undefined) return undefined;
      if (other.state.standing === 'inside') {
        const isIncluded = other.startedWith?.some(
          (member) =>
            member.instanceId === node.member.instanceId && member.incarnation === node.member.incarnation,
        );
        return isIncluded === true ? other.startedWith : undefined;
      }
      if (other.state.standing !== 'resuming') return undefined;
    }
    const members = listed.flatMap((other) => (other === undefined ? [] : [other.member]));
    return [...members, node.member].sort((a, b) => a.id - b.id);
  }

  freeze(node: SimulatedNode): void {
    this.trace(() => `freeze ${node.member.instanceId}`);
    node.isFrozen = true;
  }

  /** Everything that arrived meanwhile is found at once, in order, at a later time than expected. */
  thaw(node: SimulatedNode): void {
    if (!node.isFrozen) return;
    this.trace(() => `thaw ${node.member.instanceId}`);
    node.isFrozen = false;
    const backlog = node.backlog.splice(0);
    for (const event of backlog) this.deliver(node, event);
    if (node.isUp) this.deliver(node, { kind: 'woken' });
  }

  leave(node: SimulatedNode): void {
    if (!node.isServing || node.isLeaving) return;
    this.trace(() => `leave ${node.member.instanceId}`);
    node.isLeaving = true;
    this.registry.write(node.member, 'draining');
    this.command(node, { kind: 'enter', phase: 'draining' });
  }

  lookup(node: SimulatedNode, key: Identifier): number {
    this.#serial += 1;
    const lookupId = this.#serial;
    this.#lookedUp.set(lookupId, key);
    this.command(node, { kind: 'lookup', lookupId, key });
    return lookupId;
  }

  runUntil(untilMs: number): void {
    while (this.queue.nextAtMs <= untilMs) this.queue.runNext();
    this.queue.at(untilMs, () => undefined);
    this.queue.runNext();
  }

  /** Runs until the condition holds, looked at every `everyMs`; false when it never did before `limitMs` passed. */
  runUntilTrue(condition: () => boolean, limitMs: number, everyMs = 100): boolean {
    const endMs = this.nowMs + limitMs;
    while (this.nowMs < endMs) {
      if (condition()) return true;
      this.runUntil(this.nowMs + everyMs);
    }
    return condition();
  }

  deliver(node: SimulatedNode, event: ChordEvent): void {
    if (!node.isUp) return;
    if (node.isFrozen) {
      node.backlog.push(event);
      return;
    }
    const before = node.state;
    const instant = { nowMs: node.localMs(this.nowMs), random: this.dice.next() };
    const { state, effects } = step(before, event, instant);
    node.state = state;
    this.counts.events += 1;
    this.trace(() => `${node.member.instanceId} ${describeEvent(event)}`);
    const { life } = node;
    for (const effect of effects) if (node.life === life) this.#perform(node, effect);
    if (node.life === life) this.planWake(node);
    this.#options.observe?.(this, { node, event, before });
  }

  planWake(node: SimulatedNode): void {
    const atMs = node.globalMs(node.state.wakeAtMs);
    if (atMs >= node.wakePlannedMs || atMs === Number.POSITIVE_INFINITY) return;
    node.wakePlannedMs = Math.max(atMs, this.nowMs);
    const planned = node.wakePlannedMs;
    const { life } = node;
    this.queue.at(planned + 0.01, () => {
      if (node.life !== life || node.wakePlannedMs !== planned) return;
      node.wakePlannedMs = Number.POSITIVE_INFINITY;
      if (node.isFrozen) return;
      if (node.globalMs(node.state.wakeAtMs) > this.nowMs) this.planWake(node);
      else this.deliver(node, { kind: 'woken' });
    });
  }

  #perform(node: SimulatedNode, effect: ChordEffect): void {
    switch (effect.kind) {
      case 'call':
        this.#calls.call(node, effect);
        return;
      case 'answer':
        this.#calls.answer(node, effect.callId, effect.answer);
        return;
      case 'askRegistry':
        this.#askRegistry(node, effect);
        return;
      case 'checkTakeOver':
        this.#later(node, CHECK_MS, { kind: 'takeOverChecked', checkId: effect.checkId });
        return;
      case 'lookupEnded':
        this.#lookupEnded(node, effect);
        return;
      case 'viewChanged':
        return;
      default:
        this.#milestone(node, effect);
    }
  }

  #lookupEnded(node: SimulatedNode, effect: Extract<ChordEffect, { readonly kind: 'lookupEnded' }>): void {
    const { lookupId, outcome } = effect;
    this.lookups.set(lookupId, outcome);
    const key = this.#lookedUp.get(lookupId);
    if (outcome.kind !== 'found' || key === undefined) return;
    const isOwn = outcome.owner.instanceId === node.member.instanceId;
    if (!isOwn && !this.confirmations.has(`${outcome.owner.instanceId}/${key}`)) {
      this.unconfirmed.push(
        `${node.member.instanceId} took ${outcome.owner.instanceId} for the owner of ${key}`,
      );
    }
  }

  #later(node: SimulatedNode, delayMs: number, event: ChordEvent): void {
    const { life } = node;
    this.queue.after(delayMs, () => {
      if (node.life === life) this.deliver(node, event);
    });
  }

  #milestone(node: SimulatedNode, effect: ChordEffect): void {
    this.trace(() => `${node.member.instanceId} -> ${effect.kind}`);
    switch (effect.kind) {
      case 'joined':
        if (node.state.phase === 'joining') {
          this.#later(node, TRANSFER_MS, { kind: 'commanded', command: { kind: 'enter', phase: 'active' } });
        }
        return;
      case 'resumed':
        this.registry.write(node.member, node.state.phase);
        return;
      case 'entered':
        this.#entered(node, effect.phase);
        return;
      case 'replaced':
        this.counts.replaced += 1;
        this.#rejoin(node);
        return;
      default:
    }
  }

  #entered(node: SimulatedNode, phase: string): void {
    if (phase === 'active') this.registry.write(node.member, 'active');
    if (phase === 'draining') {
      this.#later(node, TRANSFER_MS, { kind: 'commanded', command: { kind: 'enter', phase: 'left' } });
    }
    if (phase === 'left') {
      this.registry.remove(node.member);
      node.isGone = true;
      const { life } = node;
      this.queue.after(1_000, () => {
        if (node.life === life) this.crash(node);
      });
    }
  }

  /** Others took its place: a new life of the same process joins as a newcomer, unless it wanted to leave anyway. */
  #rejoin(node: SimulatedNode): void {
    this.registry.remove(node.member);
    const { life } = node;
    this.queue.after(50, () => {
      if (node.life !== life) return;
      if (node.isLeaving) {
        node.isGone = true;
        this.crash(node);
        return;
      }
      node.member = { ...node.member, incarnation: node.member.incarnation + 1 };
      this.start(node);
      this.join(node);
    });
  }

  #askRegistry(node: SimulatedNode, effect: Extract<ChordEffect, { readonly kind: 'askRegistry' }>): void {
    const { life, member } = node;
    if (effect.request.kind === 'members') this.askedTableAtMs.set(member.instanceId, this.nowMs);
    this.queue.after(REGISTRY_DELAY_MS * this.dice.between(0.5, 3), () => {
      const answer = this.registry.answer(member, effect.request, this.nowMs);
      if (node.life !== life) return;
      this.deliver(node, { kind: 'registryAnswered', requestId: effect.requestId, answer });
    });
  }
}
