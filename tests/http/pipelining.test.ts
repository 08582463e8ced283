import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './test-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

/** Everything the server says to these bytes until it closes. */
async function converse(bytes: string): Promise<string> {
  const socket = connect(server.at);
  socket.on('error', () => undefined);
  socket.write(bytes);
  let text = '';
  for await (const piece of socket) text += String(piece);
  return text;
}

describe('requests of one connection', () => {
  test('do not overtake each other: a GET sees the PUT that was sent before it', async () => {
    let release: () => void = () => undefined;
    server.files.gate = new Promise((resolve) => {
      release = resolve;
    });
    const put = 'PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nnew';
    const get = 'GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answers = converse(put + get);
    await expect.poll(() => server.files.receivedBytes).toBe(3);

    release();

    expect((await answers).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 200']);
  });

  test('are handled one at a time, and too many of them end the connection with the answer that says so', async () => {
    const list = server.files.list.bind(server.files);
    let running = 0;
    let most = 0;
    let count = 0;
    server.files.list = async () => {
      count += 1;
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return await list();
    };

    const answers = await converse('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(600));

    const statuses = answers.match(/HTTP\/1\.1 \d+/g) ?? [];
    expect(most).toBe(1);
    expect(count).toBeLessThan(100);
    expect(statuses.at(-1)).toBe('HTTP/1.1 503');
    expect(statuses.slice(0, -1).every((status) => status === 'HTTP/1.1 200')).toBe(true);
    expect(statuses).toHaveLength(count + 1);
  });

  test('that wait are dropped when the connection ends', async () => {
    let release: () => void = () => undefined;
    server.files.gate = new Promise((resolve) => {
      release = resolve;
    });
    const socket = connect(server.at);
    socket.write('PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nnew');
    socket.write('DELETE /b HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => server.files.receivedBytes).toBe(3);

    socket.resetAndDestroy();
    await expect.poll(() => server.lines.length).toBe(0);
    release();

    await expect.poll(() => server.lines.length).toBe(1);
    expect(server.lines.join()).not.toContain('DELETE');
  });
});
