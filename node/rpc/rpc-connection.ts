import { connect as connectSocket, type Socket } from 'node:net';
import { ChordfsError } from '../../domain/errors.ts';
import { type ConnectionLimits, PEER_LIMITS } from './connection-limits.ts';
import { MessageSocket } from './message-socket.ts';
import { unreachable } from './peer-evidence.ts';
import { errorFromWire } from './rpc-error.ts';
import { encodeRequest, type RpcMessage } from './rpc-message.ts';

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** The address to call from; peers are told from clients by it. Undefined: the system's choice. */
  readonly localAddress?: string | undefined;
  readonly connectTimeoutMs: number;
  /** Bounds on what the other end may send back. Default: those for peers. */
  readonly limits?: ConnectionLimits | undefined;
  readonly onClose?: (() => void) | undefined;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface PendingCall {
  readonly method: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Calls awaiting their answer on one connection. More means that the other end does not keep up: fail, not queue. */
const MAX_PENDING_CALLS = 1_024;

/** The calling side of one connection: many calls at once, answered in any order, each with a deadline. */
export class RpcConnection {
  readonly #messages: MessageSocket;
  readonly #pending = new Map<number, PendingCall>();
  readonly #target: { readonly host: string; readonly port: number };
  #nextCallId = 0;
  #isOpen = true;

  private constructor(socket: Socket, { host, port, limits, onClose }: ConnectOptions) {
    this.#target = { host, port };
    this.#messages = new MessageSocket(socket, limits ?? PEER_LIMITS, {
      onMessage: (message) => this.#receive(message),
      // A server that ends its half will not answer any more.
      onEnd: () => this.#messages.abort('closed by the other end'),
      onClose: (error) => {
        this.#isOpen = false;
        this.#failAll(error);
        onClose?.();
      },
    });
  }

  /** @throws ChordfsError `PEER_UNREACHABLE`; `peer-evidence.ts` tells what it proves. */
  static async open(options: ConnectOptions): Promise<RpcConnection> {
    const { host, port, localAddress, connectTimeoutMs } = options;
    const socket = connectSocket({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      ...(localAddress && { localAddress }),
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy();
        reject(unreachable({ host, port }, 'timeout'));
      }, connectTimeoutMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(unreachable({ host, port }, error));
      });
    });
    return new RpcConnection(socket, options);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get bytesReceived(): number {
    return this.#messages.bytesReceived;
  }

  get bytesSent(): number {
    return this.#messages.bytesSent;
  }

  /**
   * @throws ChordfsError `DEADLINE_EXCEEDED` (the call may still be carried out over there), `PEER_UNREACHABLE`, or
   * what the other end threw; RemoteError for an error that is none of ours.
   */
  call(method: string, params: readonly unknown[], { timeoutMs, signal }: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(this.#deadline(method));
      if (!this.#isOpen) return reject(unreachable(this.#target, 'closed'));
      if (this.#pending.size >= MAX_PENDING_CALLS) return reject(unreachable(this.#target, 'overloaded'));
      const callId = this.#allocateCallId();
      const giveUp = (): void => {
        this.#pending.delete(callId);
        settle();
        reject(this.#deadline(method));
      };
      const timer = setTimeout(giveUp, timeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#pending.set(callId, {
        method,
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#messages.send(encodeRequest(callId, method, params));
    });
  }

  close(): void {
    this.#messages.abort('closed by this end');
  }

  #deadline(method: string): ChordfsError {
    return new ChordfsError('DEADLINE_EXCEEDED', { ...this.#target, method });
  }

  #allocateCallId(): number {
    do {
      this.#nextCallId = (this.#nextCallId + 1) >>> 0;
    } while (this.#pending.has(this.#nextCallId));
    return this.#nextCallId;
  }

  #receive(message: RpcMessage): void {
    if (message.kind !== 'response') {
      this.#messages.abort('a call from the answering side');
      return;
    }
    const call = this.#pending.get(message.callId);
    // An answer after its deadline.
    if (call === undefined) return;
    this.#pending.delete(message.callId);
    if (message.error === null || message.error === undefined) call.resolve(message.result);
    else call.reject(errorFromWire(message.error, call.method));
  }

  #failAll(error: Error | undefined): void {
    const calls = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of calls) call.reject(unreachable(this.#target, error ?? 'closed'));
  }
}
