import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { PeerHandlers } from '../../node/files/peer-calls.ts';
import { handlePeerMessage } from '../../node/files/peer-routes.ts';
import type { PeerCallOptions, PeerMessage, Peers } from '../../node/files/peers.ts';

export interface NetworkCall {
  readonly from: string;
  readonly to: string;
  readonly operation: string;
  readonly message: PeerMessage;
}

/** Peers in one process, with every message open to the test's faults. */
export class MemoryNetwork {
  readonly handlers = new Map<string, PeerHandlers>();
  readonly down = new Set<string>();
  /** Members that take requests and never answer. */
  readonly frozen = new Set<string>();
  /** Called before a message is delivered; throws to lose it. */
  onCall: (call: NetworkCall) => void | Promise<void> = () => undefined;
  readonly counts = new Map<string, number>();
  payloadBytes = 0;

  peersOf(from: string): Peers {
    return {
      call: (member, operation, message, options) =>
        this.#call({ from, member, operation, message }, options),
    };
  }

  async #call(
    {
      from,
      member,
      operation,
      message,
    }: { from: string; member: RingMember; operation: string; message: PeerMessage },
    { signal, timeoutMs }: PeerCallOptions,
  ): Promise<PeerMessage> {
    const to = member.instanceId;
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    if (this.frozen.has(to)) await silence(signal, timeoutMs);
    const handlers = this.handlers.get(to);
    const isCut = () => this.down.has(to) || this.down.has(from);
    if (isCut() || handlers === undefined) throw new ChordfsError('PEER_UNREACHABLE', { to });
    await this.onCall({ from, to, operation, message });
    // Through JSON and a copy of the bytes, as on a wire: nothing is shared between nodes.
    const head: unknown = JSON.parse(JSON.stringify(message.head));
    const payload = message.payload === undefined ? undefined : Uint8Array.from(message.payload);
    this.payloadBytes += payload?.byteLength ?? 0;
    const answer = await handlePeerMessage(handlers, operation, { head, payload }, signal);
    if (isCut()) throw new ChordfsError('PEER_UNREACHABLE', { to });
    this.payloadBytes += answer.payload?.byteLength ?? 0;
    return { head: JSON.parse(JSON.stringify(answer.head)), payload: answer.payload };
  }
}

function silence(signal: AbortSignal, timeoutMs: number): Promise<never> {
  return new Promise((_, reject) => {
    const timer = setTimeout(() => reject(new ChordfsError('DEADLINE_EXCEEDED', { timeoutMs })), timeoutMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
