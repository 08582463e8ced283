import { Agent, request } from 'node:http';
import { HTTP_PORT } from '../../domain/node-environment.ts';

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  /** From the request to the first byte of the body, ms. */
  readonly firstByteMs: number;
  readonly totalMs: number;
}

export interface Ask {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: Uint8Array;
  readonly timeoutMs: number;
}

/** A kept connection that its server ended just as it was used again: HTTP clients ask anew by themselves. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

/** A client of many nodes with connections kept open, that never tries anything twice. */
export class NodeHttp {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 16 });

  close(): void {
    this.#agent.destroy();
  }

  /** @throws when the connection breaks or the time is over; a status is an answer, whatever it says. */
  ask(host: string, { method, path, body, timeoutMs }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const startedMs = performance.now();
      const headers = body === undefined ? {} : { 'content-length': body.byteLength };
      const asking = request({ agent: this.#agent, host, port: HTTP_PORT, method, path, headers });
      const timer = setTimeout(
        () => asking.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      asking.once('close', () => clearTimeout(timer));
      asking.once('error', (error) => {
        const isReset = 'code' in error && error.code === 'ECONNRESET';
        reject(asking.reusedSocket && isReset ? new ConnectionEnded(error.message) : error);
      });
      asking.once('response', (incoming) => {
        const pieces: Buffer[] = [];
        let firstByteMs: number | undefined;
        incoming.on('data', (piece: Buffer) => {
          firstByteMs ??= performance.now() - startedMs;
          pieces.push(piece);
        });
        incoming.once('error', reject);
        incoming.once('end', () => {
          const totalMs = performance.now() - startedMs;
          if (!incoming.complete) reject(new Error('the answer ended early'));
          else
            resolve({
              status: incoming.statusCode ?? 0,
              body: Buffer.concat(pieces),
              firstByteMs: firstByteMs ?? totalMs,
              totalMs,
            });
        });
      });
      asking.end(body);
    });
  }

  async json<T>(host: string, path: string, timeoutMs = 10_000): Promise<T> {
    const { status, body } = await this.ask(host, { method: 'GET', path, timeoutMs });
    if (status !== 200) throw new Error(`${host}${path} answered ${status}`);
    return JSON.parse(body.toString()) as T;
  }
}

/** What a person would read of an error page, on one line. */
export function sayingOf(body: Uint8Array): string {
  const text = Buffer.from(body).toString('utf8', 0, 4_000);
  const shown = text.replace(/^.*<body[^>]*>/s, '').replace(/<[^>]*>/g, ' ');
  return shown.replace(/\s+/g, ' ').trim().slice(0, 200);
}
