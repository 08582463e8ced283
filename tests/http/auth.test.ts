import { afterEach, describe, expect, test } from 'vitest';
import type { FileServerOptions } from '../../node/http/file-server.ts';
import { contentOf } from '../files/content.ts';
import { formHead, startTestServer, type TestServer } from './test-server.ts';

const reader = { user: 'réader', password: 'pass:wörd' };
const uploader = { user: 'up', password: 'secret' };

function basic({ user, password }: { user: string; password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

describe('C22 basic authentication', () => {
  let server: TestServer;
  afterEach(() => server.close());
  const start = async (options: Partial<FileServerOptions>) => {
    server = await startTestServer(options);
    return server;
  };

  test.each([
    ['no credentials', undefined, 'No credentials given'],
    ['a wrong user', basic({ ...reader, user: 'x' }), 'Bad username'],
    ['a wrong password', basic({ ...reader, password: 'x' }), 'Bad password'],
    ['an empty password', basic({ ...reader, password: '' }), 'Bad password'],
    ['no colon', `Basic ${Buffer.from('nocolon').toString('base64')}`, 'Credentials incorrectly formatted'],
    ['no base64', 'Basic !!!', 'Credentials incorrectly formatted'],
    [
      'bytes that are no UTF-8',
      `Basic ${Buffer.from([0xff, 0xfe]).toString('base64')}`,
      'Credentials incorrectly formatted',
    ],
    ['nothing after the scheme', 'Basic', 'Credentials incorrectly formatted'],
    ['another scheme', 'Bearer abc', 'Credentials incorrectly formatted'],
  ])('%s is 401 with an empty body and a reason', async (_, authorization, reason) => {
    await start({ basicAuth: reader });
    const headers = authorization === undefined ? {} : { Authorization: authorization };

    const response = await server.get('/', headers);

    expect(response).toMatchObject({ status: 401, reason });
    expect(response.headers['www-authenticate']).toMatch(/^Basic realm=/);
    expect(response.body.byteLength).toBe(0);
    expect(server.bugs).toEqual([]);
  });

  test('the name of the scheme may be written in any case', async () => {
    await start({ basicAuth: reader });

    expect((await server.get('/', { Authorization: basic(reader).replace('Basic', 'bASIC') })).status).toBe(
      200,
    );
  });

  const requests = [
    ['GET', '/'],
    ['HEAD', '/a'],
    ['GET', '/upload'],
    ['PUT', '/a'],
    ['DELETE', '/a'],
    ['POST', '/upload'],
    ['GET', '/_chordfs/status'],
    ['GET', '/_chordfs/receipt/a'],
  ] as const;
  const isRefused = async (authorization: string | undefined) => {
    const refused: string[] = [];
    for (const [method, path] of requests) {
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      const body = method === 'PUT' || method === 'POST' ? Buffer.from('x') : undefined;
      const { status } = await server.request(method, path, headers, body);
      if (status === 401) refused.push(`${method} ${path}`);
    }
    return refused;
  };
  const all = requests.map(([method, path]) => `${method} ${path}`);
  const changes = ['GET /upload', 'PUT /a', 'DELETE /a', 'POST /upload'];

  test('--basic-auth guards everything, HEAD too', async () => {
    await start({ basicAuth: reader });

    expect(await isRefused(undefined)).toEqual(all);
    expect(await isRefused(basic(reader))).toEqual([]);
  });

  test('--basic-auth-upload guards changes and the upload page alone', async () => {
    await start({ basicAuthUpload: uploader });

    expect(await isRefused(undefined)).toEqual(changes);
    expect(await isRefused(basic(uploader))).toEqual([]);
  });

  test('with both, either login reads and only the upload login changes', async () => {
    await start({ basicAuth: reader, basicAuthUpload: uploader });

    expect(await isRefused(undefined)).toEqual(all);
    expect(await isRefused(basic(reader))).toEqual(changes);
    expect(await isRefused(basic(uploader))).toEqual([]);
    // A password counts only with its own user.
    expect(await isRefused(basic({ user: reader.user, password: uploader.password }))).toEqual(all);
  });

  test('probes need no login', async () => {
    await start({ basicAuth: reader });

    expect((await server.get('/_chordfs/healthz')).status).toBe(200);
    expect((await server.get('/_chordfs/readyz')).status).toBe(503);
  });

  test('a client that asks before it sends is refused before it has sent', async () => {
    await start({ basicAuth: reader });

    const response = await server.send([formHead('/upload', 1_000_000_000, 'Expect: 100-continue\r\n')]);

    expect(response).toMatchObject({ status: 401 });
  });

  test('a page of another site cannot use the login that a browser keeps', async () => {
    await start({ basicAuth: reader });
    const headers = { Authorization: basic(reader), 'Sec-Fetch-Site': 'cross-site' };

    expect((await server.request('PUT', '/a', headers, contentOf(3))).status).toBe(403);
    expect((await server.request('DELETE', '/a', headers)).status).toBe(403);
    expect((await server.get('/', headers)).status).toBe(200);
  });
});
