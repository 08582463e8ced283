/**
 * A handful of members as one compact text, and the real step function between two such texts.
 *
 * Abstractions, to be told with every figure: an operation with all its calls is one atomic step, detection is
 * perfect, the registry is the set of the living, admission is the condition that the ring is ideal, and the members
 * know each other by pointers alone (no member table). Messages under way, clocks and leases are the simulator's.
 */
import { type Identifier, identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { type ChordConfig, type Corrections, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import type { ChordEffect, ChordEvent } from '../../node/chord/event.ts';
import type { RingPointers } from '../../node/chord/ring-pointers.ts';
import { createNode, type NodeState, step } from '../../node/chord/step.ts';

/** `b` is the member with index 1 in its present life, `B` a pointer to an earlier one. `.`: nobody. */
export type WorldText = string;

export interface Model {
  readonly idCount: number;
  readonly successorListLength: number;
  readonly corrections: Corrections;
}

type CallEffect = Extract<ChordEffect, { readonly kind: 'call' }>;

const PRESENT_LIFE = 2;
const EARLIER_LIFE = 1;
const LETTERS = 'abcdefgh';
/** Effects that one atomic step may lead to: far more than any operation needs. */
const MAX_EVENTS_PER_STEP = 400;
const PATIENCE_MS = 2_000;

export class World {
  readonly model: Model;
  readonly config: ChordConfig;
  readonly #members: readonly Member[];
  readonly #templates: readonly NodeState[];
  #nodes: (NodeState | undefined)[] = [];
  #queue: { readonly at: number; readonly event: ChordEvent }[] = [];
  #callers = new Map<number, { readonly at: number; readonly callId: number }>();
  #serial = 0;
  #nowMs = 1_000;
  /** The one that is joining: what happens after it is in the pointers belongs to later steps. */
  #joiner: number | undefined;

  readonly #founder: number;

  constructor(model: Model, founder = 0) {
    this.model = model;
    this.#founder = founder;
    this.config = {
      ...DEFAULT_CONFIG,
      successorListLength: model.successorListLength,
      memberTable: false,
      corrections: model.corrections,
    };
    this.#members = Array.from({ length: model.idCount }, (_, index) =>
      memberAt(identifier(10 * (index + 1)), index, PRESENT_LIFE),
    );
    this.#templates = this.#members.map((member) => ({
      ...createNode(member, this.config),
      standing: 'inside',
      phase: 'active',
    }));
  }

  /** A ring of one. */
  first(): WorldText {
    const { idCount, successorListLength, corrections } = this.model;
    const letter = LETTERS.charAt(this.#founder);
    const list = corrections.truncateAtSelf ? '' : letter.repeat(successorListLength);
    return Array.from({ length: idCount }, (_, index) => (index === this.#founder ? `-:${list}` : '.')).join(
      ' ',
    );
  }

  load(text: WorldText): void {
    this.#queue = [];
    this.#callers.clear();
    this.#joiner = undefined;
    this.#nowMs = 1_000;
    this.#nodes = text.split(' ').map((part, index) => {
      const template = this.#templates[index];
      return part === '.' || template === undefined
        ? undefined
        : { ...template, pointers: this.#pointers(part) };
    });
  }

  save(): WorldText {
    return this.#nodes.map((node) => (node === undefined ? '.' : this.#textOf(node.pointers))).join(' ');
  }

  living(): readonly number[] {
    return this.#nodes.flatMap((node, index) => (node === undefined ? [] : [index]));
  }

  node(index: number): NodeState | undefined {
    return this.#nodes[index];
  }

  /** Its process ends. Pointers to it stay; a later life under the same id makes them pointers to an earlier one. */
  fail(index: number): void {
    this.#nodes[index] = undefined;
  }

  stabilize(index: number): void {
    this.#wake(index, { stabilizeAtMs: this.#nowMs });
  }

  syncRegistry(index: number): void {
    this.#wake(index, { registrySyncAtMs: this.#nowMs });
  }

  /** False when it was refused. */
  join(index: number, via: number): boolean {
    const member = this.#members[index];
    const contact = this.#members[via];
    if (member === undefined || contact === undefined) return false;
    this.#ageThePointersTo(index);
    this.#nodes[index] = createNode(member, this.config);
    this.#joiner = index;
    this.#deliver(index, { kind: 'commanded', command: { kind: 'join', contacts: [contact] } });
    this.#drain();
    const isInside = this.#nodes[index]?.standing === 'inside';
    this.#joiner = undefined;
    if (!isInside) this.#nodes[index] = undefined;
    return isInside;
  }

  #ageThePointersTo(index: number): void {
    if (!this.model.corrections.incarnations) return;
    const earlier = memberAt(identifier(10 * (index + 1)), index, EARLIER_LIFE);
    const aged = (member: Member) => (member.instanceId === earlier.instanceId ? earlier : member);
    this.#nodes = this.#nodes.map((node) =>
      node === undefined
        ? undefined
        : {
            ...node,
            pointers: {
              ...node.pointers,
              predecessor:
                node.pointers.predecessor === undefined ? undefined : aged(node.pointers.predecessor),
              successorList: node.pointers.successorList.map(aged),
            },
          },
    );
  }

  #wake(index: number, due: { readonly stabilizeAtMs?: number; readonly registrySyncAtMs?: number }): void {
    const node = this.#nodes[index];
    if (node === undefined) return;
    this.#nodes[index] = { ...node, schedule: { ...node.schedule, ...due } };
    this.#deliver(index, { kind: 'woken' });
    this.#drain();
    this.#endSuspicions();
  }

  /** Detection is perfect: whoever is in doubt is asked until there is a verdict. */
  #endSuspicions(): void {
    const endMs = this.#nowMs + PATIENCE_MS;
    while (this.#nowMs < endMs) {
      const open = this.#nodes.findIndex(
        (node) =>
          node !== undefined && [...node.suspicions.values()].some(({ verdict }) => verdict === undefined),
      );
      const node = this.#nodes[open];
      if (node === undefined) return;
      this.#nowMs += this.config.probePauseMs + 1;
      const never = Number.POSITIVE_INFINITY;
      const schedule = { ...node.schedule, stabilizeAtMs: never, registrySyncAtMs: never, gossipAtMs: never };
      this.#nodes[open] = { ...node, schedule };
      this.#deliver(open, { kind: 'woken' });
      this.#drain();
    }
  }

  #drain(): void {
    for (let i = 0; i < MAX_EVENTS_PER_STEP; i++) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#deliver(next.at, next.event);
      if (this.#joiner !== undefined && this.#nodes[this.#joiner]?.standing === 'inside') {
        this.#queue = [];
        return;
      }
    }
    this.#queue = [];
  }

  #deliver(at: number, event: ChordEvent): void {
    const node = this.#nodes[at];
    if (node === undefined) return;
    const { state, effects } = step(node, event, { nowMs: this.#nowMs, random: 0.5 });
    this.#nodes[at] = state;
    for (const effect of effects) {
      if (effect.kind === 'call') {
        this.#call(at, effect);
      } else if (effect.kind === 'answer') {
        const caller = this.#callers.get(effect.callId);
        const answered = { kind: 'answered', callId: caller?.callId ?? 0, answer: effect.answer } as const;
        if (caller !== undefined) this.#queue.push({ at: caller.at, event: answered });
      } else if (effect.kind === 'askRegistry') {
        const answer = this.#registryAnswer(effect.request.kind);
        this.#queue.push({ at, event: { kind: 'registryAnswered', requestId: effect.requestId, answer } });
      }
    }
  }

  #call(from: number, { callId, to, request }: CallEffect): void {
    const at = this.#members.findIndex(({ instanceId }) => instanceId === to.instanceId);
    const isThere =
      this.#nodes[at] !== undefined &&
      (to.incarnation === PRESENT_LIFE || !this.model.corrections.incarnations);
    if (!isThere) {
      this.#queue.push({ at: from, event: { kind: 'failed', callId, evidence: 'refused' } });
      return;
    }
    this.#serial += 1;
    this.#callers.set(this.#serial, { at: from, callId });
    this.#queue.push({ at, event: { kind: 'received', callId: this.#serial, request } });
  }

  #registryAnswer(kind: string): Extract<ChordEvent, { readonly kind: 'registryAnswered' }>['answer'] {
    if (kind !== 'members') return { kind: 'done' };
    const members = this.living().flatMap((index) => {
      const member = this.#members[index];
      return member === undefined ? [] : [{ ...member, phase: 'active' as const }];
    });
    return { kind: 'members', members };
  }

  #pointers(part: string): RingPointers {
    const [before = '', list = ''] = part.split(':');
    const letter = before.charAt(0);
    return {
      predecessor: letter === '-' ? undefined : this.#memberFor(letter),
      predecessorIsDead: before.endsWith('!'),
      successorList: [...list].map((entry) => this.#memberFor(entry)),
    };
  }

  #memberFor(letter: string): Member {
    const index = LETTERS.indexOf(letter.toLowerCase());
    const isEarlier = letter !== letter.toLowerCase();
    return memberAt(identifier(10 * (index + 1)), index, isEarlier ? EARLIER_LIFE : PRESENT_LIFE);
  }

  #textOf({ predecessor, predecessorIsDead, successorList }: RingPointers): string {
    const before = predecessor === undefined ? '-' : letterOf(predecessor);
    return `${before}${predecessorIsDead ? '!' : ''}:${successorList.map(letterOf).join('')}`;
  }
}

function letterOf({ id, incarnation }: Member): string {
  const letter = LETTERS.charAt(id / 10 - 1);
  return incarnation === PRESENT_LIFE ? letter : letter.toUpperCase();
}

function memberAt(id: Identifier, index: number, incarnation: number): Member {
  return {
    id,
    instanceId: `i-${index}`,
    incarnation,
    privateIp: '',
    publicIp: '',
    chordPort: 0,
    httpPort: 0,
    availabilityZone: '',
  };
}
