import { writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen } from '../../node/http/listen.ts';
import { loadTls } from '../../node/http/tls-options.ts';
import { contentOf } from '../files/content.ts';
import { Certificates } from './certificates.ts';
import { exchange } from './raw-http.ts';
import { form, formHead, startTestServer } from './test-server.ts';

describe('sockets', () => {
  test('listens on every address it is given', async () => {
    const server = await startTestServer({}, { addresses: ['127.23.0.3', '127.23.0.4'] });

    expect(server.server.endpoints.map(({ address }) => address)).toEqual(['127.23.0.3', '127.23.0.4']);
    for (const { address, port } of server.server.endpoints) {
      const response = await exchange({ host: address, port }, ['GET / HTTP/1.1\r\nHost: x\r\n\r\n']);
      expect(response?.status).toBe(200);
    }
    await server.close();
  });

  test('when one address is taken, none is kept', async () => {
    const taken = await listen(() => undefined, { addresses: ['127.23.0.6'], port: 0 });
    const port = taken.endpoints[0]?.port ?? 0;

    await expect(listen(() => undefined, { addresses: ['127.23.0.5', '127.23.0.6'], port })).rejects.toThrow(
      'EADDRINUSE',
    );

    const other = await listen(() => undefined, { addresses: ['127.23.0.5'], port });
    await Promise.all([taken.close(0), other.close(0)]);
  });

  test('closing lets an upload finish and takes no new connection', async () => {
    const server = await startTestServer();
    const body = form([{ filename: 'a', content: contentOf(100_000) }]);
    const socket = connect(server.at);
    socket.write(formHead('/upload', body.byteLength));
    socket.write(body.subarray(0, 50_000));
    await expect.poll(() => server.files.receivedBytes).toBeGreaterThan(0);

    const closing = server.server.close(10_000);
    await expect(exchange(server.at, ['GET / HTTP/1.1\r\n\r\n'])).rejects.toThrow('ECONNREFUSED');
    socket.write(body.subarray(50_000));
    const answer = await new Promise<string>((resolve) =>
      socket.once('data', (piece) => resolve(piece.toString())),
    );
    socket.destroy();
    await closing;

    expect(answer).toMatch(/^HTTP\/1\.1 204/);
  });

  test('a server that retires answers on what is open, and takes no new connection', async () => {
    const server = await startTestServer();
    const socket = connect(server.at);
    const answered = () =>
      new Promise<string>((resolve) => socket.once('data', (piece) => resolve(piece.toString())));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await answered()).toMatch(/^HTTP\/1\.1 200/);

    const retired = server.server.retire({ idleMs: 60_000, longestMs: 60_000 });
    await expect(exchange(server.at, ['GET / HTTP/1.1\r\n\r\n'])).rejects.toThrow('ECONNREFUSED');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const last = await answered();

    expect(last).toMatch(/^HTTP\/1\.1 200/);
    expect(last).toMatch(/connection: close/i);
    await Promise.all([ended, retired]);
    await server.close();
  });

  test('a server that retires waits for what is under way, and not for connections that ask nothing', async () => {
    const server = await startTestServer();
    const silent = connect(server.at);
    const busy = connect(server.at);
    const body = form([{ filename: 'a', content: contentOf(100_000) }]);
    busy.write(formHead('/upload', body.byteLength));
    busy.write(body.subarray(0, 50_000));
    await expect.poll(() => server.files.receivedBytes).toBeGreaterThan(0);

    const answer = new Promise<string>((resolve) => busy.once('data', (piece) => resolve(piece.toString())));
    // Closing cuts whatever is left: had it not been waited for, there would be no answer.
    const closed = server.server.retire({ idleMs: 0, longestMs: 60_000 }).then(() => server.server.close(0));
    // Timers of the same length fire in their order: by now those of retiring and closing would have.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    busy.write(body.subarray(50_000));

    expect(await answer).toMatch(/^HTTP\/1\.1 204/);
    await closed;
    silent.destroy();
    busy.destroy();
  });

  test.each([
    ['no HTTP', ['\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'], 400],
    ['a header too long', ['GET / HTTP/1.1\r\nX: ', 'a'.repeat(40_000), '\r\n\r\n'], 431],
    ['headers too many', ['GET / HTTP/1.1\r\n', 'A: b\r\n'.repeat(10_000), '\r\n'], 431],
    ['an unknown method', ['FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n'], 501],
    ['a bad length', ['POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n'], 400],
    [
      'two ways to end a body',
      [
        'POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      400,
    ],
  ])('%s is answered %s and survived', async (_, bytes, status) => {
    const server = await startTestServer();

    expect((await server.send(bytes))?.status).toBe(status);

    expect((await server.get('/')).status).toBe(200);
    await server.close();
  });
});

describe('C24 TLS', () => {
  const certificates = new Certificates();
  const pem = (name: string) => certificates.path(name);
  beforeAll(() => {
    certificates.makeFolder('data');
    certificates.make('server');
    certificates.make('client');
  });
  afterAll(() => certificates.remove());

  const statusOver = (port: number, client?: string) =>
    new Promise<number>((resolve, reject) => {
      const own =
        client === undefined ? {} : { cert: certificates.read(client), key: certificates.read(client) };
      const options = { host: '127.23.0.1', port, ca: certificates.read('server.crt'), agent: false, ...own };
      const request = httpsRequest(options, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on('error', reject);
      request.end();
    });

  test('serves with a certificate', async () => {
    const tls = loadTls({ serverCertificate: pem('server.pem'), dataDirectory: pem('data') });
    const server = await startTestServer({}, { tls });

    expect(await statusOver(server.at.port)).toBe(200);
    await server.close();
  });

  test('with a client certificate, nobody gets in without it', async () => {
    const files = { serverCertificate: pem('server.pem'), clientCertificate: pem('client.crt') };
    const server = await startTestServer({}, { tls: loadTls({ ...files, dataDirectory: pem('data') }) });

    expect(await statusOver(server.at.port, 'client.pem')).toBe(200);
    await expect(statusOver(server.at.port)).rejects.toThrow();
    await expect(statusOver(server.at.port, 'server.pem')).rejects.toThrow();
    await server.close();
  });

  test('plain HTTP on the port is told what to do instead, and only probes are let through', async () => {
    const tls = loadTls({ serverCertificate: pem('server.pem'), dataDirectory: pem('data') });
    const server = await startTestServer({}, { tls });

    for (const path of ['/', '/upload', '/_chordfs/status', '/_chordfs/receipt/a', '/_chordfs/healthz/..']) {
      expect(await server.get(path)).toMatchObject({
        status: 400,
        reason: 'Plain HTTP was sent to an HTTPS port',
      });
    }
    expect((await server.get('/_chordfs/healthz')).status).toBe(200);
    await server.close();
  });

  test('a connection that never says what it wants does not hold up the end', async () => {
    const tls = loadTls({ serverCertificate: pem('server.pem'), dataDirectory: pem('data') });
    const server = await startTestServer({}, { tls });
    const silent = connect(server.at);
    await new Promise((resolve) => silent.once('connect', resolve));
    const half = connect(server.at);
    half.write(Buffer.from([0x16, 0x03, 0x01]));
    half.on('error', () => undefined);
    await new Promise((resolve) => half.once('connect', resolve));
    const ended = Promise.all(
      [silent, half].map((socket) => new Promise((done) => socket.once('close', done))),
    );

    await server.close();

    await ended;
  });

  test('a connection that stops in the middle of its handshake is closed', async () => {
    const tls = loadTls({ serverCertificate: pem('server.pem'), dataDirectory: pem('data') });
    const server = await startTestServer({}, { tls, headTimeoutMs: 20 });
    const half = connect(server.at);
    half.on('error', () => undefined);
    half.resume();
    half.write(Buffer.from([0x16]));

    await new Promise((resolve) => half.once('close', resolve));

    await server.close();
  });

  test.each([
    ['inside the data folder', 'data/inside.pem', 3],
    ['missing', 'missing.pem', 4],
    ['not a certificate', 'garbage.pem', 5],
    ['without a key', 'server.crt', 5],
  ])("a certificate that is %s ends with uploadserver's exit code", (_, name, exitCode) => {
    writeFileSync(pem('data/inside.pem'), 'x');
    writeFileSync(pem('garbage.pem'), 'x');

    expect(() => loadTls({ serverCertificate: pem(name), dataDirectory: pem('data') })).toThrow(
      expect.objectContaining({ exitCode }),
    );
  });
});
