import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contentOf } from '../files/content.ts';
import { BOUNDARY, form, formHead, startTestServer, type TestServer } from './test-server.ts';

/** What nobody sends who means well. Each is refused with a status that says why, and the server serves on. */
describe('hostile requests', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
    await server.upload([{ filename: 'a.bin', content: contentOf(1_000) }]);
  });
  afterEach(async () => {
    expect((await server.get('/a.bin')).body.byteLength).toBe(1_000);
    expect(server.bugs).toEqual([]);
    await expect.poll(() => server.files.unsettled.size).toBe(0);
    await server.close();
  });

  const host = 'Host: x\r\n';
  test.each([
    [
      'a length and chunks',
      `POST /upload HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'chunks and a length',
      `POST /upload HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
    ],
    ['two lengths', `POST /upload HTTP/1.1\r\n${host}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`],
    ['a length with a sign', `POST /upload HTTP/1.1\r\n${host}Content-Length: +4\r\n\r\nabcd`],
    [
      'an unknown coding',
      `POST /upload HTTP/1.1\r\n${host}Transfer-Encoding: chunked, nonsense\r\n\r\n0\r\n\r\n`,
    ],
    [
      'a chunk size that is none',
      `PUT /b HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`,
    ],
    [
      'a chunk size beyond all numbers',
      `PUT /b HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc`,
    ],
    ['a header folded over two lines', `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`],
    ['a space before the colon', `GET / HTTP/1.1\r\n${host}Content-Length : 4\r\n\r\nabcd`],
    ['a bare line feed in a header', `GET / HTTP/1.1\r\n${host}X: a\nY: b\rZ: c\r\n\r\n`],
    ['a NUL in a header', `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`],
    ['a NUL in the path', `GET /a\0.bin HTTP/1.1\r\n${host}\r\n`],
    ['a version of its own', `GET / HTTP/3.7\r\n${host}\r\n`],
  ])('%s is 4xx, and the connection ends there', async (_, text) => {
    const socket = connect(server.at);
    const received: Buffer[] = [];
    socket.write(`${text}GET /smuggled HTTP/1.1\r\n${host}\r\n`);
    socket.on('error', () => undefined);
    for await (const piece of socket) received.push(piece);

    const answers = Buffer.concat(received)
      .toString('latin1')
      .match(/HTTP\/1\.1 \d+/g);
    expect(answers).toHaveLength(1);
    expect(answers?.[0]).toMatch(/HTTP\/1\.1 4\d\d/);
    expect(server.lines.join()).not.toContain('smuggled');
  });

  test.each([
    '/..%2f..%2fetc%2fpasswd',
    '/%2e%2e%2f%2e%2e%2fetc/passwd',
    '/..%5c..%5cwindows',
    '/....//....//etc/passwd',
    '/%252e%252e%252fetc',
    '/%00',
    '/a.bin%00.txt',
    '/%c0%ae%c0%ae/etc/passwd',
    '/%e0%80%af',
    '/%ed%a0%80',
    '/\\..\\..\\etc',
    '/_chordfs/../a.bin',
    '/_chordfs/',
    '/_chordfs/unknown',
    'http://other.example/../../etc/passwd',
  ])('GET %s is 404', async (path) => {
    expect(await server.get(path)).toMatchObject({ status: 404 });
  });

  test.each(['/..%2fescape', '/%2e%2e', '/a%00b', '/%ff', '/%c0%ae', '/a%2fb', '/_chordfs/peer/put-chunk'])(
    'PUT %s is refused, and nothing is stored',
    async (path) => {
      const { status } = await server.request('PUT', path, {}, Buffer.from('x'));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect((await server.files.list()).map(({ name }) => name)).toEqual(['a.bin']);
    },
  );

  test.each([
    ['many ranges', `bytes=${Array.from({ length: 1_300 }, (_, i) => `${i}-${i}`).join(',')}`, 200],
    ['ranges that overlap', 'bytes=0-,0-,0-,0-', 200],
    ['an end beyond all numbers', `bytes=0-${'9'.repeat(400)}`, 206],
    ['a start beyond all numbers', `bytes=${'9'.repeat(400)}-`, 416],
    ['a suffix beyond all numbers', `bytes=-${'9'.repeat(400)}`, 206],
    ['a negative start', 'bytes=--5', 200],
    ['an exponent', 'bytes=1e2-2e2', 200],
    ['a NaN', 'bytes=NaN-5', 200],
  ])('a Range with %s is answered by the rules', async (_, range, status) => {
    const response = await server.get('/a.bin', { Range: range });
    expect(response.status).toBe(status);
    if (status < 300) expect(response.body.byteLength).toBe(1_000);
  });

  test.each(['"other"', 'W/"other"', 'nonsense', new Date(0).toUTCString()])(
    'If-Range with %s gives the whole file instead of a part of another one',
    async (ifRange) => {
      expect((await server.get('/a.bin', { Range: 'bytes=0-1', 'If-Range': ifRange })).status).toBe(200);
    },
  );

  test('a request that names no host is 400', async () => {
    expect((await server.send(['GET / HTTP/1.1\r\n\r\n']))?.status).toBe(400);
  });

  test('ten thousand small files go in one form, and one more than that is refused whole', async () => {
    const parts = Array.from({ length: 10_001 }, (_, i) => ({ filename: `${i}`, content: 'x' }));

    expect((await server.upload(parts)).status).toBe(400);
    expect(await server.files.list()).toHaveLength(1);
    expect((await server.upload(parts.slice(1))).status).toBe(204);
    expect(await server.files.list()).toHaveLength(10_001);
  });

  test('a hundred connections that say half a request keep nobody out', async () => {
    const slow = Array.from({ length: 100 }, () => connect(server.at));
    for (const socket of slow) {
      socket.on('error', () => undefined);
      socket.write(formHead('/upload', 1_000_000).slice(0, -10));
    }

    expect((await server.get('/a.bin')).status).toBe(200);

    for (const socket of slow) socket.destroy();
  });

  test('part headers that go on for ever end the upload', async () => {
    const part = `--${BOUNDARY}\r\n${'X-Filler: y\r\n'.repeat(20_000)}\r\nx\r\n--${BOUNDARY}--\r\n`;
    const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };

    expect((await server.request('POST', '/upload', headers, Buffer.from(part))).status).toBe(400);
  });

  test('a boundary of megabytes, or of nothing, is refused', async () => {
    for (const boundary of ['', '""', 'b'.repeat(5_000)]) {
      const headers = { 'Content-Type': `multipart/form-data; boundary=${boundary}` };
      const body = form([{ filename: 'x', content: 'y' }]);
      expect((await server.request('POST', '/upload', headers, body)).status).toBe(400);
    }
  });
});
