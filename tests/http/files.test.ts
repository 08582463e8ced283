import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChordfsError, type ErrorCode } from '../../domain/errors.ts';
import { contentOf } from '../files/content.ts';
import { startTestServer, type TestServer } from './test-server.ts';

describe('files over HTTP', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
  });
  afterEach(() => server.close());

  describe('ranges (RFC 9110, 14)', () => {
    const size = 1_500_000;
    const bytes = contentOf(size);
    beforeEach(() => server.upload([{ filename: 'r', content: bytes }]));

    test.each([
      ['bytes=0-0', 0, 1],
      ['bytes=5-', 5, size],
      ['bytes=-7', size - 7, size],
      ['bytes=-9999999', 0, size],
      ['bytes=10-9999999', 10, size],
      ['BYTES=1-2', 1, 3],
    ])('%s', async (range, start, end) => {
      const response = await server.get('/r', { Range: range });

      expect(response.status).toBe(206);
      expect(response.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${size}`);
      expect(response.body.equals(bytes.subarray(start, end))).toBe(true);
    });

    test.each([`bytes=${size}-`, 'bytes=9999999-9999999', 'bytes=-0'])('%s is 416', async (range) => {
      const response = await server.get('/r', { Range: range });

      expect(response.status).toBe(416);
      expect(response.headers['content-range']).toBe(`bytes */${size}`);
    });

    test.each(['bytes=5-2', 'bytes=a-b', 'lines=1-2', 'bytes=0-1,4-5', 'bytes=-', 'bytes', ''])(
      'a range that is none or that we do not serve, %j, means the whole',
      async (range) => {
        const response = await server.get('/r', { Range: range });

        expect(response.status).toBe(200);
        expect(response.body.byteLength).toBe(size);
      },
    );

    test('If-Range decides whether the part is still worth something', async () => {
      const { headers } = await server.get('/r');
      const status = async (ifRange: string) =>
        (await server.get('/r', { Range: 'bytes=0-1', 'If-Range': ifRange })).status;

      expect(await status(headers['etag'] ?? '')).toBe(206);
      expect(await status('"another"')).toBe(200);
      expect(await status(`W/${headers['etag']}`)).toBe(200);
      expect(await status(headers['last-modified'] ?? '')).toBe(206);
      expect(await status(new Date(0).toUTCString())).toBe(200);
    });

    test('HEAD says what GET would, without the bytes', async () => {
      const response = await server.request('HEAD', '/r');

      expect(response.status).toBe(200);
      expect(response.headers['content-length']).toBe(String(size));
      expect(response.body.byteLength).toBe(0);
    });
  });

  describe('conditions (RFC 9110, 13)', () => {
    let etag = '';
    beforeEach(async () => {
      await server.upload([{ filename: 'c', content: 'one' }]);
      etag = (await server.get('/c')).headers['etag'] ?? '';
    });

    test.each([
      ['If-None-Match', 'ETAG', 304],
      ['If-None-Match', 'W/ETAG', 304],
      ['If-None-Match', '"x", ETAG', 304],
      ['If-None-Match', '*', 304],
      ['If-None-Match', '"x"', 200],
      ['If-Match', 'ETAG', 200],
      ['If-Match', 'W/ETAG', 412],
      ['If-Match', '"x"', 412],
      ['If-Unmodified-Since', new Date(0).toUTCString(), 412],
      ['If-Unmodified-Since', 'nonsense', 200],
    ])('GET with %s: %s', async (name, value, status) => {
      expect((await server.get('/c', { [name]: value.replace('ETAG', etag) })).status).toBe(status);
    });

    test('If-None-Match goes before If-Modified-Since', async () => {
      const now = new Date(Date.now() + 60_000).toUTCString();

      expect((await server.get('/c', { 'If-None-Match': '"x"', 'If-Modified-Since': now })).status).toBe(200);
    });

    test('PUT and DELETE act only on the version that was meant', async () => {
      const put = (headers: Record<string, string>) =>
        server.request('PUT', '/c', headers, Buffer.from('two'));

      expect((await put({ 'If-Match': '"x"' })).status).toBe(412);
      expect((await put({ 'If-None-Match': '*' })).status).toBe(412);
      expect((await server.request('DELETE', '/c', { 'If-Match': '"x"' })).status).toBe(412);
      expect((await server.get('/c')).body.toString()).toBe('one');
      expect((await put({ 'If-Match': etag })).status).toBe(204);
      expect((await server.get('/c')).body.toString()).toBe('two');
    });
  });

  test('PUT of a new name is 201 with its place, of an old one 204', async () => {
    const first = await server.request('PUT', '/n%C3%A9w%20name.txt', {}, contentOf(100));
    const second = await server.request('PUT', '/n%C3%A9w%20name.txt', {}, contentOf(200));

    expect([first.status, second.status]).toEqual([201, 204]);
    expect(first.headers['location']).toBe('/n%C3%A9w%20name.txt');
    expect((await server.files.list()).map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ['néw name.txt', 200],
    ]);
  });

  test.each(['/a%2fb', '/..', '/a/b', `/${'x'.repeat(256)}`, '/%ff'])('PUT %s is 400', async (path) => {
    expect(await server.request('PUT', path, {}, contentOf(1))).toMatchObject({
      status: 400,
      reason: 'Invalid file name',
    });
  });

  test('PUT of a part is refused, and the file stays what it was', async () => {
    await server.request('PUT', '/a', {}, Buffer.from('whole'));

    const part = await server.request('PUT', '/a', { 'Content-Range': 'bytes 2-3/5' }, Buffer.from('xx'));

    expect(part).toMatchObject({ status: 400, reason: 'Partial PUT is not supported' });
    expect((await server.get('/a')).body.toString()).toBe('whole');
  });

  test('PUT keeps the type that the client declares when the name says nothing', async () => {
    const typeAfter = async (path: string, type: string) => {
      await server.request('PUT', path, { 'Content-Type': type }, contentOf(1));
      return (await server.get(path)).headers['content-type'];
    };

    expect(await typeAfter('/plain', 'text/x-custom; charset=utf-8')).toBe('text/x-custom; charset=utf-8');
    expect(await typeAfter('/form', 'application/x-www-form-urlencoded')).toBe('application/octet-stream');
    expect(await typeAfter('/a.png', 'text/html')).toBe('image/png');
    expect(await typeAfter('/bad', 'no type at all')).toBe('application/octet-stream');
  });

  test.each([
    ['page.html', 'sandbox'],
    ['drawing.svg', 'sandbox'],
    ['data.xml', 'sandbox'],
    ['unknown.zzz9', undefined],
    ['photo.png', undefined],
    ['paper.pdf', undefined],
  ])('a stored %s cannot act as a page of this server', async (name, policy) => {
    await server.upload([{ filename: name, content: '<script>alert(1)</script>' }]);

    const { headers } = await server.get(`/${name}`);

    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['content-security-policy']).toBe(policy);
  });

  test('an answer that cannot be finished ends early instead of looking whole', async () => {
    await server.upload([{ filename: 'big', content: contentOf(5_000_000) }]);
    server.files.breaksAfterBytes = 2_000_000;

    const response = await server.get('/big');

    expect(response.headers['content-length']).toBe('5000000');
    expect(response.body.byteLength).toBeLessThan(5_000_000);
  });

  test('when not even the first bytes can be had, the status says so', async () => {
    await server.upload([{ filename: 'big', content: contentOf(5_000_000) }]);
    server.files.breaksAfterBytes = 0;

    const response = await server.get('/big');

    expect(response).toMatchObject({ status: 503, reason: 'Not enough copies' });
    expect(response.headers['retry-after']).toBe('1');
  });

  test.each([
    ['VOLUME_FULL', 507, 'Volume full'],
    ['REPLICAS_UNAVAILABLE', 503, 'Not enough copies'],
    ['STORAGE_FAILED', 503, 'Storage failed'],
    ['NODE_DRAINING', 503, 'Node is leaving'],
    ['DEADLINE_EXCEEDED', 504, 'Timed out'],
  ] as const)('%s becomes %i "%s", for uploads, reads and lists alike', async (code, status, reason) => {
    server.files.failure = new ChordfsError(code satisfies ErrorCode);
    const json = { Accept: 'application/json' };

    const upload = await server.upload([
      { filename: 'a', content: contentOf(300_000) },
      { filename: 'b', content: contentOf(300_000) },
    ]);
    const answers = [
      upload,
      await server.get('/'),
      await server.get('/a'),
      await server.request('PUT', '/a', {}, contentOf(300_000)),
      await server.request('DELETE', '/a', json),
    ];

    expect(answers.map((answer) => [answer.status, answer.reason])).toEqual(
      answers.map(() => [status, reason]),
    );
    expect(JSON.parse(answers.at(-1)?.body.toString() ?? '')).toMatchObject({ error: code, status });
    expect(server.files.unsettled.size).toBe(0);
    expect(server.bugs).toEqual([]);
  });

  test('a defect is 500, is reported, and tells the client nothing about itself', async () => {
    server.files.list = () => Promise.reject(new TypeError('secret detail'));

    const response = await server.get('/');

    expect(response.status).toBe(500);
    expect(response.body.toString()).not.toContain('secret');
    expect(server.bugs).toHaveLength(1);
  });

  test('a receipt tells where the copies are', async () => {
    await server.upload([{ filename: 'a b', content: 'abc' }]);

    const receipt = JSON.parse((await server.get('/_chordfs/receipt/a%20b')).body.toString());

    expect(receipt).toMatchObject({ record: { name: 'a b', sizeBytes: 3 }, copies: [{ instanceId: 'i-1' }] });
    expect((await server.get('/_chordfs/receipt/none')).status).toBe(404);
  });

  test('probes and status tell health, readiness and why', async () => {
    expect((await server.get('/_chordfs/healthz')).status).toBe(200);
    expect(await server.get('/_chordfs/readyz')).toMatchObject({
      status: 503,
      body: Buffer.from('joining the ring\n'),
    });
    expect(JSON.parse((await server.get('/_chordfs/status')).body.toString())).toEqual({
      ...{ isHealthy: true, isReady: false, reasons: ['joining the ring'], phase: 'joining' },
    });
  });

  test('OPTIONS says what can be done', async () => {
    expect((await server.request('OPTIONS', '/a')).headers['allow']).toContain('DELETE');
  });
});
