import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { ChordfsError } from '../../domain/errors.ts';
import { OPEN_LIMITS, PEER_LIMITS } from './connection-limits.ts';
import { MessageSocket } from './message-socket.ts';
import { type ClusterCredentials, HandshakeResponder } from './peer-handshake.ts';
import { BadCallError, errorForWire, unknownMethod } from './rpc-error.ts';
import { encodeResponse, type RpcMessage } from './rpc-message.ts';
import type { PeerIdentity, RpcMethods, RpcSession } from './rpc-methods.ts';

export interface ServerConnectionOptions {
  readonly methods: RpcMethods;
  readonly credentials?: (() => ClusterCredentials | undefined) | undefined;
  readonly onBug?: ((error: unknown, method: string) => void) | undefined;
  readonly onCall: () => void;
  readonly onClose: (connection: ServerConnection, wasAborted: boolean) => void;
}

/** One caller. Calls run side by side and are answered as they finish, as MessagePack-RPC allows. */
export class ServerConnection {
  readonly #messages: MessageSocket;
  readonly #options: ServerConnectionOptions;
  readonly #gone = new AbortController();
  readonly #session: { readonly remoteAddress: string; peer: PeerIdentity | undefined };
  #handshake: HandshakeResponder | undefined;
  #callsInFlight = 0;
  #hasEnded = false;

  constructor(socket: Socket, options: ServerConnectionOptions) {
    this.#options = options;
    // One for each call in flight, which is bounded.
    setMaxListeners(0, this.#gone.signal);
    this.#session = { remoteAddress: plainAddress(socket.remoteAddress), peer: undefined };
    this.#messages = new MessageSocket(socket, OPEN_LIMITS, {
      onMessage: (message) => this.#receive(message),
      onEnd: () => {
        this.#hasEnded = true;
        this.#endWhenAnswered();
      },
      onClose: (error) => {
        this.#gone.abort();
        options.onClose(this, error !== undefined);
      },
    });
  }

  get session(): RpcSession {
    return this.#session;
  }

  get lastMessageMs(): number {
    return this.#messages.lastMessageMs;
  }

  get bytesReceived(): number {
    return this.#messages.bytesReceived;
  }

  get bytesSent(): number {
    return this.#messages.bytesSent;
  }

  overdue(nowMs: number): string | undefined {
    return this.#messages.overdue(nowMs);
  }

  abort(reason: string): void {
    this.#messages.abort(reason);
  }

  #receive(message: RpcMessage): void {
    // A response to a call that was never made.
    if (message.kind === 'response') {
      this.abort('unexpected response');
      return;
    }
    this.#options.onCall();
    this.#callsInFlight += 1;
    if (this.#callsInFlight >= this.#messages.limits.maxCallsInFlight) this.#messages.pause();
    const callId = message.kind === 'request' ? message.callId : undefined;
    this.#run(message.method, message.params)
      .then(
        (result) => this.#answer(callId, null, result),
        (error: unknown) => this.#answer(callId, this.#describe(error, message.method), null),
      )
      .finally(() => {
        this.#callsInFlight -= 1;
        this.#messages.resume();
        this.#endWhenAnswered();
      });
  }

  async #run(method: string, params: readonly unknown[]): Promise<unknown> {
    if (method === 'peer_hello') return this.#responder().hello(params);
    if (method === 'peer_prove') return this.#admitPeer(params);
    const handler = this.#options.methods.find(method, this.#session);
    if (handler === undefined) throw new BadCallError(unknownMethod(method, params.length));
    return handler(params, this.#session, this.#gone.signal);
  }

  #responder(): HandshakeResponder {
    const credentials = this.#options.credentials?.();
    if (credentials === undefined) throw new ChordfsError('NODE_NOT_READY');
    this.#handshake = new HandshakeResponder(credentials);
    return this.#handshake;
  }

  #admitPeer(params: readonly unknown[]): null {
    if (this.#handshake === undefined) throw new ChordfsError('UNAUTHORIZED');
    this.#session.peer = this.#handshake.prove(params);
    this.#messages.limits = PEER_LIMITS;
    return null;
  }

  #answer(callId: number | undefined, error: unknown, result: unknown): void {
    if (callId !== undefined) this.#messages.send(encodeResponse(callId, error, result));
  }

  #describe(error: unknown, method: string): unknown {
    if (!(error instanceof BadCallError || error instanceof ChordfsError) && !this.#gone.signal.aborted) {
      this.#options.onBug?.(error, method);
    }
    return errorForWire(error, this.#session.peer !== undefined || method.startsWith('peer_'));
  }

  /** The caller may close its sending half right after its last call; it still gets its answers. */
  #endWhenAnswered(): void {
    if (this.#hasEnded && this.#callsInFlight === 0) this.#messages.end();
  }
}

/** IPv4 callers of a dual-stack listener appear as ::ffff:a.b.c.d. */
function plainAddress(address: string | undefined): string {
  return address !== undefined && ipaddr.isValid(address) ? ipaddr.process(address).toString() : '';
}
