import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentOf } from '../files/content.ts';
import { exchange, form, formHead } from '../http/raw-http.ts';
import { ask, type Subject, startOurs, startUploadserver, upload } from './subjects.ts';

/** What a server of files should do and uploadserver does not: each claim is shown to hold for ours and to fail for theirs. */
const whole = form([{ filename: 'cut.bin', content: contentOf(3_000_000) }]);
const basic = (text: string | Uint8Array) => ({
  Authorization: `Basic ${Buffer.from(text).toString('base64')}`,
});

/** Sends a first part, and tells how many bytes came back before a second one was sent. */
function firstAnswer({ host, port }: Subject, first: string, withinMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => socket.write(first));
    const finish = (text: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(() => finish(''), withinMs);
    socket.once('data', (piece) => finish(piece.toString()));
    socket.once('error', () => finish(''));
  });
}

type Claim = (subject: Subject) => Promise<boolean>;
const CLAIMS: Readonly<Record<string, Claim>> = {
  'an upload that is cut short is refused and not published': async (subject) => {
    const sent = [formHead('/upload', whole.byteLength), whole.subarray(0, 500_000)];
    const response = await exchange(subject, sent, { end: true }).catch(() => undefined);
    return response?.status === 400 && (await ask(subject, 'GET /cut.bin'))?.status === 404;
  },
  'an upload under way is in no listing': async (subject) => {
    const socket = connect(subject);
    socket.on('error', () => undefined);
    socket.write(formHead('/upload', whole.byteLength));
    socket.write(whole.subarray(0, 1_000_000));
    // A listing for each look: what is under way shows in one of them, or in none.
    let seen = '';
    for (let i = 0; i < 20; i++) seen += (await ask(subject, 'GET /'))?.body.toString() ?? '';
    socket.resetAndDestroy();
    return !/>tmp\w+</.test(seen) && !seen.includes('cut.bin');
  },
  'a broken upload leaves nothing on the disk': async (subject) => {
    await expect.poll(async () => (await ask(subject, 'GET /'))?.status).toBe(200);
    return !subject.leftovers().some((name) => name.startsWith('tmp'));
  },
  'a part of a file can be asked for': async (subject) => {
    await upload(subject, [{ filename: 'range', content: '0123456789' }]);
    const response = await ask(subject, 'GET /range', { headers: { Range: 'bytes=2-4' } });
    return response?.status === 206 && response.body.toString() === '234';
  },
  'a file has an entity tag, which is a checksum': async (subject) => {
    await upload(subject, [{ filename: 'tag', content: 'x' }]);
    return /^"[0-9a-f]{64}"$/.test((await ask(subject, 'GET /tag'))?.headers['etag'] ?? '');
  },
  'a file can be deleted': async (subject) => {
    await upload(subject, [{ filename: 'gone', content: 'x' }]);
    await ask(subject, 'DELETE /gone');
    return (await ask(subject, 'GET /gone'))?.status === 404;
  },
  'a file can be put under its own name': async (subject) =>
    (await ask(subject, 'PUT /own', { body: Buffer.from('x') }))?.status === 201,
  'an upload says where the file is': async (subject) =>
    (await upload(subject, [{ filename: 'where', content: 'x' }]))?.headers['location'] === '/where',
  'a client that asks before it sends is told to go on at once': async (subject) => {
    const head = formHead('/upload', whole.byteLength, 'Expect: 100-continue\r\n');
    return (await firstAnswer(subject, head, 700)).startsWith('HTTP/1.1 100');
  },
  'a connection serves more than one request': async (subject) => {
    const response = await exchange(subject, ['GET /missing HTTP/1.1\r\nHost: x\r\n\r\n']);
    return response?.httpVersion === '1.1' && response.headers['connection'] !== 'close';
  },
  'a form without its boundary is answered': async (subject) => {
    const headers = { 'Content-Type': 'multipart/form-data' };
    return (await ask(subject, 'POST /upload', { headers, body: whole.subarray(0, 5_000) }))?.status === 400;
  },
  'a form that is none is answered while its client waits': async (subject) =>
    (await firstAnswer(subject, `${formHead('/upload', 7)}garbage`, 1_500)).startsWith('HTTP/1.1 400'),
  'a name of 256 bytes is answered': async (subject) =>
    (await upload(subject, [{ filename: 'n'.repeat(256), content: 'x' }]))?.status === 400,
  'a file called upload can be fetched by the link in the listing': async (subject) => {
    await upload(subject, [{ filename: 'upload', content: 'the file' }]);
    const html = String((await ask(subject, 'GET /'))?.body);
    const href = /<li><a href="([^"]*)">upload<\/a>/.exec(html)?.[1];
    return String((await ask(subject, `GET /${href}`))?.body) === 'the file';
  },
};

const GUARDED_CLAIMS: Readonly<Record<string, Claim>> = {
  'HEAD asks for the login too': async (subject) => (await ask(subject, 'HEAD /'))?.status === 401,
  'credentials without a colon are answered': async (subject) =>
    (await ask(subject, 'GET /', { headers: basic('nocolon') }))?.status === 401,
  'credentials that are no UTF-8 are answered': async (subject) =>
    (await ask(subject, 'GET /', { headers: basic(Buffer.from([0xff, 0xfe])) }))?.status === 401,
  'credentials that are no base64 are answered': async (subject) =>
    (await ask(subject, 'GET /', { headers: { Authorization: 'Basic !!!' } }))?.status === 401,
};

describe.each([
  ['without a login', CLAIMS, {}, []],
  ['with a login', GUARDED_CLAIMS, { basicAuth: { user: 'u', password: 'p' } }, ['--basic-auth', 'u:p']],
])('%s', (_, claims, ourOptions, theirOptions) => {
  let ours: Subject;
  let theirs: Subject;
  beforeAll(async () => {
    [ours, theirs] = await Promise.all([startOurs(ourOptions), startUploadserver(theirOptions)]);
  });
  afterAll(() => Promise.all([ours.close(), theirs.close()]));

  test.each(Object.entries(claims))('%s', async (_claim, holds) => {
    expect({ ours: await holds(ours), uploadserver: await holds(theirs) }).toEqual({
      ours: true,
      uploadserver: false,
    });
  });
});
