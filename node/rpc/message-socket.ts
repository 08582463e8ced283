import type { Socket } from 'node:net';
import type { ConnectionLimits } from './connection-limits.ts';
import { FramingError, MessageFramer } from './message-framer.ts';
import { decodeMessage, type RpcMessage } from './rpc-message.ts';

export interface MessageSocketEvents {
  readonly onMessage: (message: RpcMessage) => void;
  /** The remote end will send nothing more; it may still read. */
  readonly onEnd: () => void;
  /** Once, whatever ended it. `error` is what the socket or the framer said, if anything. */
  readonly onClose: (error: Error | undefined) => void;
}

/**
 * Messages of one connection handled before all others get their turn. Raised: a caller that sends thousands of calls
 * in one piece makes everybody wait. Lowered: more turns of the event loop for a busy peer.
 */
const MESSAGES_PER_TURN = 16;

/** Why a connection was given up from this side. */
export class ConnectionAbort extends Error {
  override readonly name = 'ConnectionAbort';
}

/**
 * One connection as a stream of messages, both ways, under limits. Both server and client stand on it.
 *
 * Messages are handed over one by one; `pause` stops that at once, also for those that have arrived already, and
 * TCP then holds the remote end back. What waits to be sent is bounded as well.
 */
export class MessageSocket {
  readonly #socket: Socket;
  readonly #events: MessageSocketEvents;
  readonly #framer: MessageFramer;
  #limits: ConnectionLimits;
  /** By the owner: it has enough to do. */
  #isPaused = false;
  /** By ourselves: it has had its share of this turn of the event loop. */
  #isYielding = false;
  #isDraining = false;
  #shareLeft = MESSAGES_PER_TURN;
  #failure: Error | undefined;
  /** When the last whole message came, and when the current partial one began. Monotonic ms. */
  #lastMessageMs = performance.now();
  #partialSinceMs: number | undefined;

  constructor(socket: Socket, limits: ConnectionLimits, events: MessageSocketEvents) {
    this.#socket = socket;
    this.#limits = limits;
    this.#events = events;
    this.#framer = new MessageFramer(limits);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#framer.push(chunk);
      this.#drain();
    });
    socket.on('end', () => events.onEnd());
    socket.on('error', (error) => {
      this.#failure ??= error;
    });
    socket.on('close', () => events.onClose(this.#failure));
  }

  get limits(): ConnectionLimits {
    return this.#limits;
  }

  set limits(limits: ConnectionLimits) {
    this.#limits = limits;
    this.#framer.limits = limits;
  }

  get lastMessageMs(): number {
    return this.#lastMessageMs;
  }

  get bytesReceived(): number {
    return this.#socket.bytesRead;
  }

  get bytesSent(): number {
    return this.#socket.bytesWritten;
  }

  /** Queues one message. A remote end that does not read its answers loses the connection. */
  send(message: Uint8Array): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (this.#socket.writableLength + message.length > this.#limits.maxBacklogBytes) {
      this.abort('answers are not being read');
      return;
    }
    this.#socket.write(message);
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isYielding) return;
    this.#socket.resume();
    this.#drain();
  }

  /** Sends what is queued, then closes. */
  end(): void {
    this.#socket.end();
  }

  abort(reason: string): void {
    this.#failure ??= new ConnectionAbort(reason);
    this.#socket.destroy();
  }

  /** What is wrong with this connection at `nowMs`, if a deadline has passed. A paused one is waiting for us. */
  overdue(nowMs: number): string | undefined {
    if (this.#isPaused || this.#isYielding) return undefined;
    if (nowMs - this.#lastMessageMs > this.#limits.idleTimeoutMs) return 'idle';
    if (
      this.#partialSinceMs !== undefined &&
      nowMs - this.#partialSinceMs > this.#limits.partialMessageTimeoutMs
    ) {
      return 'message not completed in time';
    }
    return undefined;
  }

  #drain(): void {
    // A handler may pause and resume within `onMessage`; only the outer loop reads on.
    if (this.#isDraining || this.#isYielding) return;
    this.#isDraining = true;
    try {
      while (!this.#isPaused && !this.#socket.destroyed) {
        if (this.#shareLeft === 0) {
          this.#yield();
          break;
        }
        const bytes = this.#framer.next();
        if (bytes === undefined) break;
        this.#shareLeft -= 1;
        this.#deliver(bytes);
      }
      this.#trackPartial();
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.abort(error.message);
    } finally {
      this.#isDraining = false;
    }
  }

  #yield(): void {
    this.#isYielding = true;
    this.#socket.pause();
    setImmediate(() => {
      this.#isYielding = false;
      this.#shareLeft = MESSAGES_PER_TURN;
      if (this.#isPaused || this.#socket.destroyed) return;
      this.#socket.resume();
      this.#drain();
    });
  }

  #deliver(bytes: Buffer): void {
    const message = decodeMessage(bytes);
    if (message === undefined) {
      this.abort('not MessagePack-RPC');
      return;
    }
    this.#lastMessageMs = performance.now();
    this.#partialSinceMs = undefined;
    this.#events.onMessage(message);
  }

  #trackPartial(): void {
    if (this.#isPaused || this.#isYielding || this.#framer.bufferedBytes === 0)
      this.#partialSinceMs = undefined;
    else this.#partialSinceMs ??= performance.now();
  }
}
