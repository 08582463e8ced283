import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contentOf } from '../files/content.ts';
import { startTestServer, type TestServer } from './test-server.ts';

/** What clients of Python's uploadserver rely on, item by item. Deviations that are meant are tests of their own. */
describe('the uploadserver checklist', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
  });
  afterEach(async () => {
    expect(server.bugs).toEqual([]);
    expect(server.files.unsettled.size).toBe(0);
    await server.close();
  });

  test('C1 the listing is a page of exactly the announced length with a link to the upload page', async () => {
    const response = await server.get('/?any=query');

    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(Number(response.headers['content-length'])).toBe(response.body.byteLength);
    expect(response.body.toString()).toContain('<a href="/upload">File upload</a>');
    expect(response.body.toString()).toContain('<title>Directory listing for /</title>');
  });

  test('C2 entries are escaped and sorted without regard to case', async () => {
    await server.upload([
      { filename: 'b.txt', content: 'b' },
      { filename: 'A <b>&.txt', content: 'a' },
      { filename: '.hidden', content: 'h' },
      { filename: 'C#?.txt', content: 'c' },
    ]);

    const html = (await server.get('/')).body.toString();

    expect(
      [...html.matchAll(/<li><a href="([^"]*)">(.*?)<\/a>/g)].map(([, href, text]) => [href, text]),
    ).toEqual([
      ['.hidden', '.hidden'],
      ['A%20%3Cb%3E%26.txt', 'A &lt;b&gt;&amp;.txt'],
      ['b.txt', 'b.txt'],
      ['C%23%3F.txt', 'C#?.txt'],
    ]);
  });

  test('C3 a file comes with its bytes, length, type and date', async () => {
    await server.upload([{ filename: 'page.tar.gz', content: 'abc' }]);

    const response = await server.get('/page.tar.gz?ignored');

    expect(response.body.toString()).toBe('abc');
    expect(response.headers).toMatchObject({ 'content-length': '3', 'content-type': 'application/gzip' });
    expect(Date.parse(response.headers['last-modified'] ?? '')).toBeGreaterThan(Date.now() - 10_000);
    await server.upload([{ filename: 'noextension', content: 'x', type: 'text/html' }]);
    expect((await server.get('/noextension')).headers['content-type']).toBe('application/octet-stream');
  });

  test('C4 If-Modified-Since of the current version is answered 304', async () => {
    await server.upload([{ filename: 'a.txt', content: 'abc' }]);
    const modified = (await server.get('/a.txt')).headers['last-modified'] ?? '';

    expect((await server.get('/a.txt', { 'If-Modified-Since': modified })).status).toBe(304);
    const before = new Date(Date.parse(modified) - 5_000).toUTCString();
    expect((await server.get('/a.txt', { 'If-Modified-Since': before })).status).toBe(200);
    expect((await server.get('/a.txt', { 'If-Modified-Since': 'nonsense' })).status).toBe(200);
  });

  test.each([
    '/missing',
    '/a.txt/',
    '/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2fetc%2fpasswd',
    '/.',
    '/a%00.txt',
    '/%ff%fe',
    '//a.txt',
  ])('C5 GET %s is 404 with a page', async (path) => {
    await server.upload([{ filename: 'a.txt', content: 'abc' }]);

    const response = await server.get(path);

    expect(response).toMatchObject({ status: 404, reason: 'File not found' });
    expect(response.headers['content-type']).toBe('text/html;charset=utf-8');
    expect(response.body.toString()).toContain('Error code: 404');
  });

  test('C7 the upload page has a form with the field "files" for many files', async () => {
    const response = await server.get('/upload');

    expect(response.status).toBe(200);
    const html = response.body.toString();
    expect(html).toMatch(/<form action="upload" method="POST" enctype="multipart\/form-data">/);
    expect(html).toMatch(/<input name="files" type="file" multiple/);
  });

  test.each(['POST', 'PUT'])(
    'C8 C9 %s of one file is 204 "Files accepted" with nothing in it',
    async (method) => {
      const response = await server.upload([{ filename: 'a.txt', content: 'abc' }], { method });

      expect(response).toMatchObject({ status: 204, reason: 'Files accepted' });
      expect(response.body.byteLength).toBe(0);
      expect((await server.get('/a.txt')).body.toString()).toBe('abc');
    },
  );

  test('C10 C11 C12 many files of many sizes go in one request', async () => {
    const sizes = [0, 1, 999, 1_000, 1_001, 65_536, 3_000_000];
    const parts = sizes.map((size) => ({ filename: `${size}.bin`, content: contentOf(size, size + 1) }));

    expect((await server.upload(parts)).status).toBe(204);

    for (const { filename, content } of parts) {
      expect((await server.get(`/${filename}`)).body.equals(content)).toBe(true);
    }
  });

  test.each([
    ['another field', [{ field: 'file', filename: 'a.txt', content: 'abc' }]],
    ['only text', [{ field: 'comment', content: 'abc' }]],
    ['no part at all', []],
  ])('C13 a form with %s is 400 "Field files not found"', async (_, parts) => {
    expect(await server.upload(parts)).toMatchObject({ status: 400, reason: 'Field "files" not found' });
  });

  test('C13 an empty body is 400 "Field files not found"', async () => {
    const response = await server.request('POST', '/upload', {}, Buffer.alloc(0));

    expect(response).toMatchObject({ status: 400, reason: 'Field "files" not found' });
  });

  test.each([
    ['an empty file name', { filename: '', content: '', type: 'application/octet-stream' }],
    ['no file name', { filename: undefined, content: 'text' }],
    ['no file name but a type', { filename: undefined, content: 'x', type: 'application/octet-stream' }],
    ['a name that is only a folder', { filename: 'folder/', content: 'x' }],
  ])('C14 one part with %s refuses the whole request', async (_, bad) => {
    const response = await server.upload([{ filename: 'good.txt', content: 'good' }, bad]);

    expect(response).toMatchObject({ status: 400 });
    expect((await server.get('/good.txt')).status).toBe(404);
  });

  test('C14 a form sent with nothing chosen is 400 "No files selected"', async () => {
    const empty = { filename: '', content: '', type: 'application/octet-stream' };
    expect(await server.upload([empty])).toMatchObject({ status: 400, reason: 'No files selected' });

    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const urlencoded = await server.request('POST', '/upload', headers, Buffer.from('files=abc'));
    expect(urlencoded).toMatchObject({ status: 400, reason: 'No files selected' });
  });

  test.each(['/uploadx', '/upload?x=1', '/upload/', '/'])('C15 POST %s is 404', async (path) => {
    expect(await server.request('POST', path, {}, Buffer.from('x'))).toMatchObject({
      status: 404,
      reason: 'Can only POST/PUT to /upload',
    });
  });

  test.each(['/upload?x=1', '/upload/'])('C15 GET %s is 404', async (path) => {
    expect(await server.get(path)).toMatchObject({ status: 404, reason: 'File not found' });
  });

  test.each([
    ['../../esc.txt', 'esc.txt'],
    ['a/b/c.txt', 'c.txt'],
    ['/abs/z.txt', 'z.txt'],
    ['C:\\\\dir\\\\win.txt', 'C:\\dir\\win.txt'],
    ['%2E%41.txt', '%2E%41.txt'],
    ['100%.txt', '100%.txt'],
    ['ünï çödé 漢字 🎉.txt', 'ünï çödé 漢字 🎉.txt'],
    ["it's (1) a+b&c=d;e.txt", "it's (1) a+b&c=d;e.txt"],
    ['say \\"hi\\".txt', 'say "hi".txt'],
    ['say %22hi%22.txt', 'say "hi".txt'],
  ])('C16 C17 C18 the file name %s is stored as %s', async (filename, name) => {
    expect((await server.upload([{ filename, content: 'abc' }])).status).toBe(204);

    expect((await server.files.list()).map((record) => record.name)).toEqual([name]);
    expect((await server.get(`/${encodeURIComponent(name)}`)).body.toString()).toBe('abc');
  });

  test.each(['.', '..', 'x/..'])('the file name %s is refused, and nothing is stored', async (filename) => {
    const response = await server.upload([
      { filename: 'good', content: '' },
      { filename, content: 'abc' },
    ]);

    expect(response).toMatchObject({ status: 400, reason: 'Invalid file name' });
    expect(await server.files.list()).toEqual([]);
  });

  test('a name may have 255 bytes, and one more is refused with a reason', async () => {
    expect((await server.upload([{ filename: 'ü'.repeat(127), content: 'a' }])).status).toBe(204);
    expect(await server.upload([{ filename: 'ü'.repeat(128), content: 'a' }])).toMatchObject({
      status: 400,
      reason: 'Invalid file name',
    });
  });

  test('C23 a rejected upload leaves nothing, whatever came before the reason for it', async () => {
    await server.upload([
      { filename: 'first.txt', content: contentOf(100_000) },
      { filename: '..', content: 'bad' },
    ]);

    expect(await server.files.list()).toEqual([]);
  });

  test('C26 the access log has one line per request in the common shape, and one for each stored file', async () => {
    await server.upload([{ filename: 'a b.txt', content: 'abc' }]);
    await server.get('/missing"\\x1b');

    const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\]`;
    expect(server.lines).toEqual([
      '[Uploaded] "a b.txt" --> /a%20b.txt',
      expect.stringMatching(
        new RegExp(String.raw`^127\.\d+\.\d+\.\d+ - - ${time} "POST /upload HTTP/1\.1" 204 -$`),
      ),
      expect.stringMatching(/" 404 -$/),
    ]);
  });

  test('C27 fetch with FormData works unmodified', async () => {
    const body = new FormData();
    body.append('files', new Blob([contentOf(200_000)]), 'from "browser".bin');
    body.append('files', new Blob(['abc']), 'ü.txt');

    const response = await fetch(`${server.url}/upload`, { method: 'POST', body });

    expect([response.status, response.statusText]).toEqual([204, 'Files accepted']);
    expect((await server.files.list()).map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ['from "browser".bin', 200_000],
      ['ü.txt', 3],
    ]);
  });

  test.each(['PATCH', 'PROPFIND'])('%s is 501 with a reason', async (method) => {
    expect(await server.request(method, '/a')).toMatchObject({
      status: 501,
      reason: `Unsupported method ('${method}')`,
    });
  });
});

describe('an upload of a name that is taken', () => {
  test('C20 replaces the file, which is what we do unless told otherwise', async () => {
    const server = await startTestServer();
    await server.upload([{ filename: 'f1.tar.gz', content: 'old' }]);

    expect(await server.upload([{ filename: 'f1.tar.gz', content: 'new' }])).toMatchObject({
      reason: 'Files accepted',
    });

    expect((await server.get('/f1.tar.gz')).body.toString()).toBe('new');
    await server.close();
  });

  test('C19 C21 gets a number before its last extension with onConflict rename, also within one request', async () => {
    const server = await startTestServer({ onConflict: 'rename' });
    await server.upload([{ filename: 'f1.tar.gz', content: 'one' }]);

    const response = await server.upload([
      { filename: 'f1.tar.gz', content: 'two' },
      { filename: 'f1.tar.gz', content: 'three' },
    ]);

    expect(response).toMatchObject({ status: 204, reason: 'Some filename(s) changed due to name conflict' });
    expect((await server.get('/f1.tar.gz')).body.toString()).toBe('one');
    expect((await server.get('/f1.tar%20(1).gz')).body.toString()).toBe('two');
    expect((await server.get('/f1.tar%20(2).gz')).body.toString()).toBe('three');
    await server.close();
  });

  test('C21 the order of a form decides, not which of its files was staged first', async () => {
    const server = await startTestServer();
    const stage = server.files.stage.bind(server.files);
    let begunCount = 0;
    let secondIsStaged: () => void = () => undefined;
    const second = new Promise<void>((resolve) => {
      secondIsStaged = resolve;
    });
    server.files.stage = async (...args) => {
      const isFirst = begunCount++ === 0;
      const staged = await stage(...args);
      if (isFirst) await second;
      else secondIsStaged();
      return staged;
    };

    await server.upload([
      { filename: 'same', content: 'old' },
      { filename: 'same', content: 'new' },
    ]);

    expect((await server.get('/same')).body.toString()).toBe('new');
    await server.close();
  });

  test('is refused with 409 with onConflict refuse', async () => {
    const server = await startTestServer({ onConflict: 'refuse' });
    await server.upload([{ filename: 'a', content: 'old' }]);

    expect(await server.upload([{ filename: 'a', content: 'new' }])).toMatchObject({ status: 409 });

    expect((await server.get('/a')).body.toString()).toBe('old');
    await server.close();
  });
});

describe('C25 themes', () => {
  test.each([
    ['light', 'light'],
    ['auto', 'light dark'],
    ['dark', 'dark'],
  ] as const)('theme %s is told to the browser', async (theme, content) => {
    const server = await startTestServer({ theme });

    for (const path of ['/', '/upload']) {
      expect((await server.get(path)).body.toString()).toContain(
        `<meta name="color-scheme" content="${content}">`,
      );
    }
    await server.close();
  });
});

test('checksums of what was stored are told to clients that ask for JSON', async () => {
  const server = await startTestServer();
  const sha256 = createHash('sha256').update('abc').digest('hex');

  const response = await server.upload([{ filename: 'a b', content: 'abc' }], {
    headers: 'Accept: application/json\r\n',
  });

  expect(response).toMatchObject({ status: 200, reason: 'Files accepted' });
  expect(response.headers['location']).toBe('/a%20b');
  expect(JSON.parse(response.body.toString())).toMatchObject({
    files: [{ name: 'a b', href: '/a%20b', sizeBytes: 3, sha256 }],
  });
  const listing = await server.get('/', { Accept: 'application/json' });
  expect(JSON.parse(listing.body.toString())).toMatchObject({
    files: [{ name: 'a b', sizeBytes: 3, sha256 }],
  });
  await server.close();
});
