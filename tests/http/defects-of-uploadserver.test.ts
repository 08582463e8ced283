import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contentOf } from '../files/content.ts';
import { BOUNDARY, form, formHead, startTestServer, type TestServer } from './test-server.ts';

/** Each of these fails against Python's uploadserver 6.0. */
describe('where uploadserver fails', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
  });
  afterEach(async () => {
    expect(server.bugs).toEqual([]);
    await expect.poll(() => server.files.unsettled.size).toBe(0);
    await server.close();
  });

  const multipart = `multipart/form-data; boundary=${BOUNDARY}`;

  test('an upload that ends before its Content-Length is 400, and nothing is published', async () => {
    const whole = form([{ filename: 'a.bin', content: contentOf(3_000_000) }]);
    const sent = [formHead('/upload', whole.byteLength), whole.subarray(0, 500_000)];

    const response = await server.send(sent, { end: true });

    expect(response).toMatchObject({ status: 400, reason: 'Upload incomplete' });
    expect(await server.files.list()).toEqual([]);
  });

  test('a form that lacks its end, within a complete request, is 400, and nothing is published', async () => {
    const whole = form([{ filename: 'a.bin', content: contentOf(100_000) }]);
    const cut = whole.subarray(0, whole.byteLength - `--${BOUNDARY}--\r\n`.length);

    const response = await server.request('POST', '/upload', { 'Content-Type': multipart }, cut);

    expect(response).toMatchObject({ status: 400, reason: 'Upload incomplete' });
    expect(await server.files.list()).toEqual([]);
  });

  test('a chunked upload that breaks off is 400, and nothing is published', async () => {
    const head = `POST /upload HTTP/1.1\r\nHost: test\r\nContent-Type: ${multipart}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const body = form([{ filename: 'a.bin', content: contentOf(10_000) }]).subarray(0, 5_000);
    const chunk = [`${body.byteLength.toString(16)}\r\n`, body, '\r\n'];

    expect(await server.send([head, ...chunk], { end: true })).toMatchObject({ status: 400 });

    expect(await server.files.list()).toEqual([]);
  });

  test('a PUT of a file that breaks off is 400, and nothing is published', async () => {
    const head = 'PUT /a.bin HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n';

    expect(await server.send([head, contentOf(500)], { end: true })).toMatchObject({ status: 400 });

    expect(await server.files.list()).toEqual([]);
  });

  test('a connection that is simply gone leaves nothing behind', async () => {
    const { connect } = await import('node:net');
    const socket = connect(server.at);
    socket.write(formHead('/upload', 3_000_000));
    socket.write(form([{ filename: 'a.bin', content: contentOf(200_000) }]).subarray(0, 150_000));
    await expect.poll(() => server.files.receivedBytes).toBeGreaterThan(100_000);

    socket.resetAndDestroy();

    await expect.poll(() => server.lines.length).toBe(1);
    expect(await server.files.list()).toEqual([]);
  });

  test.each([
    ['no boundary', 'multipart/form-data', form([{ filename: 'a', content: 'x' }])],
    ['another boundary', 'multipart/form-data; boundary=other', form([{ filename: 'a', content: 'x' }])],
    ['no form at all', multipart, Buffer.from('garbage')],
    [
      'a part header that is none',
      multipart,
      Buffer.from(`--${BOUNDARY}\r\n\0\0: nonsense\r\n\r\nx\r\n--${BOUNDARY}--\r\n`),
    ],
    [
      'a part header without end',
      multipart,
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data${'a'.repeat(20_000)}`),
    ],
  ])('a multipart body with %s is answered 400 instead of hung up on', async (_, type, body) => {
    expect(await server.request('POST', '/upload', { 'Content-Type': type }, body)).toMatchObject({
      status: 400,
    });

    expect(await server.files.list()).toEqual([]);
  });

  test('an upload under way is not in the listing', async () => {
    const head = formHead('/upload', 3_000_000);
    const part = form([{ filename: 'half.bin', content: contentOf(2_000_000) }]).subarray(0, 1_000_000);
    const sending = server.send([head, part]);
    await expect.poll(() => server.files.receivedBytes).toBeGreaterThan(900_000);

    expect((await server.get('/')).body.toString()).not.toContain('half.bin');

    await server.server.close(0);
    await sending.catch(() => undefined);
  });

  test('Range, ETag and Accept-Ranges', async () => {
    const bytes = contentOf(2_500_000);
    await server.upload([{ filename: 'a.bin', content: bytes }]);

    const whole = await server.get('/a.bin');
    expect(whole.headers).toMatchObject({
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    });
    const part = await server.get('/a.bin', { Range: 'bytes=1048570-1048580' });
    expect(part.status).toBe(206);
    expect(part.headers['content-range']).toBe('bytes 1048570-1048580/2500000');
    expect(part.body.equals(bytes.subarray(1_048_570, 1_048_581))).toBe(true);
    expect((await server.get('/a.bin', { 'If-None-Match': whole.headers['etag'] ?? '' })).status).toBe(304);
  });

  test('one connection serves many requests', async () => {
    await server.upload([{ filename: 'a', content: 'abc' }]);
    const request = 'GET /a HTTP/1.1\r\nHost: test\r\n\r\n';
    const last = 'GET /missing HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n';

    const { connect } = await import('node:net');
    const socket = connect(server.at);
    socket.write(request + request + last);
    const received: Buffer[] = [];
    for await (const piece of socket) received.push(piece);

    const statuses = Buffer.concat(received)
      .toString()
      .match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404']);
  });

  test('a client that asks with Expect: 100-continue is told to go on before it has sent a byte', async () => {
    const body = form([{ filename: 'a', content: 'abc' }]);
    const { connect } = await import('node:net');
    const socket = connect(server.at);
    socket.write(formHead('/upload', body.byteLength, 'Expect: 100-continue\r\nConnection: close\r\n'));

    const [first] = await new Promise<Buffer[]>((resolve) =>
      socket.once('data', (piece) => resolve([piece])),
    );
    expect(first?.toString()).toMatch(/^HTTP\/1\.1 100 Continue/);
    socket.write(body);
    const rest: Buffer[] = [];
    for await (const piece of socket) rest.push(piece);

    expect(Buffer.concat(rest).toString()).toMatch(/^HTTP\/1\.1 204 Files accepted/);
  });

  test('files can be deleted', async () => {
    await server.upload([{ filename: 'a b', content: 'abc' }]);

    expect((await server.request('DELETE', '/a%20b')).status).toBe(204);
    expect((await server.request('DELETE', '/a%20b')).status).toBe(404);
    expect((await server.get('/a%20b')).status).toBe(404);
  });

  test('a replaced file is never missing in between', async () => {
    await server.upload([{ filename: 'a', content: '0' }]);
    let isDone = false;
    const statuses = new Set<number>();
    const reader = (async () => {
      while (!isDone) statuses.add((await server.get('/a')).status);
    })();

    for (let i = 1; i <= 30; i++) await server.upload([{ filename: 'a', content: String(i) }]);
    isDone = true;
    await reader;

    expect([...statuses]).toEqual([200]);
  });

  test('small parts by the thousand do not pile up in memory while replicas are slow', async () => {
    let release: () => void = () => undefined;
    server.files.gate = new Promise((resolve) => {
      release = () => resolve();
    });
    const parts = Array.from({ length: 2_000 }, (_, i) => ({ filename: `${i}`, content: contentOf(500) }));

    const uploading = server.upload(parts);
    await expect.poll(() => server.files.receivedBytes).toBeGreaterThan(0);
    const settled: number[] = [];
    await expect
      .poll(() => {
        settled.push(server.files.receivedBytes);
        return settled.length > 4 && settled.at(-1) === settled.at(-4);
      })
      .toBe(true);

    // One piece of the body, 64 KiB, may hold about a hundred parts.
    expect(server.files.receivedBytes).toBeLessThan(2 * 65_536);
    release();
    expect((await uploading).status).toBe(204);
    expect((await server.files.list()).length).toBe(2_000);
  });

  test.each([
    ['more fields than any form has', Array.from({ length: 200 }, () => ({ field: 'x', content: 'y' }))],
    ['a field of a megabyte', [{ field: 'x', content: 'y'.repeat(1_000_000) }]],
    ['a field name of a kilobyte', [{ field: 'x'.repeat(1_000), content: 'y' }]],
  ])('%s is refused, and the files beside it are not stored', async (_, fields) => {
    const response = await server.upload([{ filename: 'a', content: 'abc' }, ...fields]);

    expect(response.status).toBe(400);
    expect(await server.files.list()).toEqual([]);
  });
});
