import type { Identifier } from '../../domain/identifier.ts';
import type { ChordEffect, ChordEvent, FailureEvidence } from '../../node/chord/event.ts';
import type { Answer } from '../../node/chord/message.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

interface OpenCall {
  readonly caller: SimulatedNode;
  readonly callerLife: number;
  readonly callId: number;
  readonly target: SimulatedNode;
  isEnded: boolean;
}

/** The calls under way between simulated nodes, over the virtual network. */
export class SimulatedCalls {
  readonly #host: Simulation;
  readonly #open = new Map<string, Set<OpenCall>>();
  readonly #received = new Map<number, { readonly open: OpenCall; readonly key: Identifier | undefined }>();
  #serial = 0;

  constructor(host: Simulation) {
    this.#host = host;
  }

  /** The process is gone: its kernel resets every call that waits for it. */
  resetAll({ member }: SimulatedNode): void {
    for (const open of this.#open.get(member.instanceId) ?? []) {
      this.#host.queue.after(this.#host.network.delayMs(), () => this.#fail(open, 'reset'));
    }
    this.#open.delete(member.instanceId);
  }

  /** Sends one call; it ends in `answered` or `failed` at the caller, if its life lasts. */
  call(caller: SimulatedNode, effect: Extract<ChordEffect, { readonly kind: 'call' }>): void {
    this.#host.counts.calls += 1;
    const { kind } = effect.request;
    this.#host.callsByKind.set(kind, (this.#host.callsByKind.get(kind) ?? 0) + 1);
    this.#host.counts.bytes += this.#host.sizes?.request(effect.request) ?? 0;
    const target = this.#host.nodes.get(effect.to.instanceId);
    if (target === undefined) throw new Error(`call to an unknown machine ${effect.to.instanceId}`);
    const open: OpenCall = {
      caller,
      callerLife: caller.life,
      callId: effect.callId,
      target,
      isEnded: false,
    };
    this.#host.queue.after(effect.timeoutMs, () => this.#fail(open, 'timeout'));
    const from = caller.member.instanceId;
    const to = target.member.instanceId;
    for (const delayMs of this.#host.network.copies(from, to)) {
      this.#host.queue.after(delayMs, () => {
        const isRightLife =
          target.member.incarnation === effect.to.incarnation || !this.#host.config.corrections.incarnations;
        if (!target.isUp || !isRightLife) {
          if (this.#host.network.isCut(to, from)) return;
          this.#host.queue.after(this.#host.network.delayMs(), () => this.#fail(open, 'refused'));
          return;
        }
        this.#receive(open, effect);
      });
    }
  }

  #receive(open: OpenCall, effect: Extract<ChordEffect, { readonly kind: 'call' }>): void {
    const { target } = open;
    this.#serial += 1;
    const callId = this.#serial;
    const key = effect.request.kind === 'lookup' ? effect.request.key : undefined;
    this.#received.set(callId, { open, key });
    const opens = this.#open.get(target.member.instanceId) ?? new Set();
    if (!open.isEnded) opens.add(open);
    this.#open.set(target.member.instanceId, opens);
    this.#host.deliver(target, { kind: 'received', callId, request: effect.request });
  }

  answer(node: SimulatedNode, callId: number, answer: Answer): void {
    const received = this.#received.get(callId);
    if (received === undefined) return;
    this.#received.delete(callId);
    const { open, key } = received;
    if (answer.kind === 'mine') this.#host.confirmations.add(`${node.member.instanceId}/${key}`);
    this.#host.counts.bytes += this.#host.sizes?.answer(answer) ?? 0;
    for (const delayMs of this.#host.network.copies(node.member.instanceId, open.caller.member.instanceId)) {
      this.#host.queue.after(delayMs, () =>
        this.#end(open, { kind: 'answered', callId: open.callId, answer }),
      );
    }
  }

  #fail(open: OpenCall, evidence: FailureEvidence): void {
    this.#end(open, { kind: 'failed', callId: open.callId, evidence });
  }

  /** A call ends once: what comes later (a second copy, an answer after the timeout) finds nobody waiting. */
  #end(open: OpenCall, event: ChordEvent): void {
    if (open.isEnded) return;
    open.isEnded = true;
    this.#open.get(open.target.member.instanceId)?.delete(open);
    if (open.caller.life === open.callerLife) this.#host.deliver(open.caller, event);
  }
}
