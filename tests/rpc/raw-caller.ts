import { connect, type Socket } from 'node:net';
import { decodeMultiStream, encode } from '@msgpack/msgpack';

/** A caller below every library of ours: bytes in, decoded responses out. */
export class RawCaller {
  readonly #socket: Socket;
  readonly #responses: AsyncGenerator<unknown>;
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#responses = decodeMultiStream(socket.iterator({ destroyOnReturn: false }));
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
  }

  static async open(port: number, host = '127.0.0.1'): Promise<RawCaller> {
    const socket = connect({ port, host });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    return new RawCaller(socket);
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  request(callId: number, method: unknown, params: unknown): void {
    this.send(encode([0, callId, method, params]));
  }

  /** Closes the sending half alone. */
  end(): void {
    this.#socket.end();
  }

  /** The next response; undefined when the connection has ended. */
  async next(): Promise<unknown> {
    const { value, done } = await this.#responses.next();
    return done ? undefined : value;
  }

  async call(method: unknown, params: unknown): Promise<unknown> {
    this.request(7, method, params);
    return this.next();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
