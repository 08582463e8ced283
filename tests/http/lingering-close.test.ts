import { connect, type Socket } from 'node:net';
import Koa from 'koa';
import { afterEach, describe, expect, test } from 'vitest';
import { lingeringClose } from '../../node/http/lingering-close.ts';
import { type ListeningServer, listen } from '../../node/http/listen.ts';

const HOST = '127.23.0.8';
const LIMITS = { bytes: 1_000_000, totalMs: 600_000, silenceMs: 600_000 };

/** Reads one piece of the body, and refuses. */
async function refuseMidway(ctx: Koa.Context, body: string | object): Promise<void> {
  for await (const _ of ctx.req.iterator({ destroyOnReturn: false })) break;
  ctx.status = 507;
  ctx.body = body;
}

describe('an answer in the middle of a body', () => {
  let server: ListeningServer;
  afterEach(() => server.close(0));

  async function request(contentLength: number, body: string | object = 'full'): Promise<Socket> {
    const app = new Koa();
    app.silent = true;
    app.use(lingeringClose(LIMITS)).use((ctx) => refuseMidway(ctx, body));
    server = await listen(app.callback(), { addresses: [HOST], port: 0 });
    const socket = connect({ host: HOST, port: server.endpoints[0]?.port ?? 0 });
    socket.write(`PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: ${contentLength}\r\n\r\nbegin`);
    return socket;
  }

  /** Of a client that reads nothing before it has sent everything. */
  const sendAll = (socket: Socket, sizeBytes: number) =>
    new Promise<void>((resolve) => socket.write(Buffer.alloc(sizeBytes), () => resolve()));

  async function readAll(socket: Socket): Promise<string> {
    let text = '';
    for await (const piece of socket) text += String(piece);
    return text;
  }

  test('reaches a client that sends everything before it reads, and the connection ends', async () => {
    const socket = await request(900_000 + 'begin'.length);
    await sendAll(socket, 900_000);

    const answer = await readAll(socket);

    expect(answer).toMatch(/^HTTP\/1\.1 507/);
    expect(answer).toMatch(/Connection: close/i);
    expect(answer.endsWith('\r\n\r\nfull')).toBe(true);
  });

  test.each([
    ['text', 'full', 'full'],
    ['JSON', { error: 'full' }, '{"error":"full"}'],
    ['nothing', '', ''],
  ])('is sent at once, while the body has not ended: %s', async (_, body, text) => {
    const socket = await request(900_000, body);

    let answer = '';
    while (!answer.endsWith(`\r\n\r\n${text}`)) {
      answer += await new Promise<string>((resolve) =>
        socket.once('data', (piece) => resolve(String(piece))),
      );
    }

    expect(answer).toContain(`Content-Length: ${text.length}\r\n`);
    socket.destroy();
  });

  test('is the last thing on the connection when the body goes on beyond the bound', async () => {
    const socket = await request(100_000_000);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    const filler = Buffer.alloc(100_000);
    const more = (): boolean => socket.writable && socket.write(filler, more);

    more();

    await closed;
    expect(socket.bytesWritten).toBeLessThan(50_000_000);
  });
});
