import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { contentOf } from '../files/content.ts';
import { BOUNDARY, type FormPart, form, type RawResponse } from '../http/raw-http.ts';
import { ask, type Subject, startOurs, startUploadserver, upload } from './subjects.ts';

/**
 * Python's uploadserver and a node of ours get the same requests, and must answer the same wherever we do not mean to
 * deviate: the checklist of its clients, item by item.
 */
let subjects: readonly Subject[] = [];
/** Servers by how they were started: both get the same requests, so what they hold stays the same on both. */
const started = new Map<string, readonly Subject[]>();
afterAll(async () => {
  for (const subject of [...started.values()].flat()) await subject.close();
});
async function both(
  options: { ours?: Parameters<typeof startOurs>[0]; theirs?: readonly string[]; isFresh?: boolean } = {},
): Promise<void> {
  const key = options.isFresh === true ? `fresh ${started.size}` : JSON.stringify(options);
  // Ours replaces unless told otherwise, which is meant; told so, it renames as theirs does.
  subjects = started.get(key) ?? [
    await startUploadserver(options.theirs),
    await startOurs({ onConflict: 'rename', ...options.ours }),
  ];
  started.set(key, subjects);
}

/** What every subject answers, by a view of the answer; the same for all, and returned once. */
async function agreed<T>(act: (subject: Subject) => Promise<T>): Promise<T> {
  const [theirs, ours] = await Promise.all(subjects.map(act));
  expect(ours).toEqual(theirs);
  if (theirs === undefined) throw new Error('neither answered');
  return theirs;
}

/** Beside our own server, which lives in this process and must be able to answer meanwhile. */
const run = async (program: string, parameters: readonly string[]) =>
  (await promisify(execFile)(program, parameters)).stdout;

const line = (response: RawResponse | undefined) => [response?.status, response?.reason];
const file = (response: RawResponse | undefined) => ({
  status: response?.status,
  type: response?.headers['content-type'],
  length: response?.headers['content-length'],
  hasDate: !Number.isNaN(Date.parse(response?.headers['last-modified'] ?? '')),
  body: response?.body.toString('hex'),
});

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#x27': "'" };
const plain = (html: string) => html.replace(/&([a-z#0-9]+);/g, (all, name: string) => ENTITIES[name] ?? all);
const entries = (response: RawResponse | undefined) =>
  [...(response?.body.toString() ?? '').matchAll(/<li><a href="([^"]*)">(.*?)<\/a>/g)].map(
    ([, href = '', text = '']) => [href, plain(text)],
  );

const NAMES = [
  'b.txt',
  'A <b>&.txt',
  '.hidden',
  'C#?.txt',
  'ünï 漢字 🎉.gz',
  "it's (1)+!.html",
  'UPPER',
  '100%.png',
];

async function uploadAllNames(): Promise<void> {
  const parts = NAMES.map((filename) => ({ filename, content: filename }));
  await agreed(async (subject) => line(await upload(subject, parts)));
}

describe('C1-C7 reading', () => {
  test('listings have the same entries in the same order, with the same links', async () => {
    await both();
    await uploadAllNames();

    expect(await agreed(async (subject) => entries(await ask(subject, 'GET /')))).not.toEqual([]);
    await agreed(async (subject) => {
      const page = await ask(subject, 'GET /');
      if (page === undefined) throw new Error('no answer');
      const { status, headers, body } = page;
      const isWhole = Number(headers['content-length']) === body.byteLength;
      const hasLink = body.includes('<a href="/upload">File upload</a>');
      return {
        status,
        type: headers['content-type'],
        isWhole,
        hasLink,
        title: /<h1>.*<\/h1>/.exec(String(body))?.[0],
      };
    });
  });

  test('files have the same bytes, type, length and date, by whatever form of their name', async () => {
    await both();
    await uploadAllNames();

    for (const name of NAMES) {
      const { body } = await agreed(async (subject) =>
        file(await ask(subject, `GET /${encodeURIComponent(name)}?x=1`)),
      );
      expect(body).toBe(Buffer.from(name).toString('hex'));
      await agreed(async (subject) => file(await ask(subject, `HEAD /${encodeURIComponent(name)}`)));
    }
    expect((await agreed(async (subject) => line(await ask(subject, 'GET /100%.png'))))[0]).toBe(200);
    const headers = { 'If-Modified-Since': new Date(Date.now() + 60_000).toUTCString() };
    expect((await agreed(async (subject) => line(await ask(subject, 'GET /b.txt', { headers }))))[0]).toBe(
      304,
    );
  });

  test.each([
    'GET /missing',
    'HEAD /missing',
    'GET /b.txt/',
    'GET /../../etc/passwd',
    'GET /%2e%2e/%2e%2e/etc/passwd',
    'GET /upload/',
    'GET /upload?x=1',
    'PATCH /b.txt',
    'PROPFIND /',
    'POST /',
    'POST /uploadx',
    'POST /upload/',
    'POST /upload?x=1',
    'POST /b.txt',
  ])('%s', async (request) => {
    await both();
    await agreed(async (subject) =>
      line(await ask(subject, request, request.startsWith('POST') ? { body: Buffer.from('x') } : {})),
    );
  });

  test('404 is a page of the same type, and the upload page has the same form', async () => {
    await both();
    await agreed(async (subject) => {
      const page = await ask(subject, 'GET /missing');
      return [
        page?.headers['content-type'],
        page?.headers['connection'],
        /Error code: 404/.test(String(page?.body)),
      ];
    });
    await agreed(async (subject) => {
      const page = await ask(subject, 'GET /upload');
      const input = /<input[^>]*name="files"[^>]*>/.exec(String(page?.body))?.[0] ?? '';
      const action = /<form action="([^"]*)"/.exec(String(page?.body))?.[1];
      return [
        line(page),
        page?.headers['content-type'],
        /type="file"/.test(input),
        /multiple/.test(input),
        action,
      ];
    });
  });

  test.each(['light', 'auto', 'dark'] as const)(
    'theme %s is told to browsers in the same words',
    async (theme) => {
      await both({ ours: { theme }, theirs: ['--theme', theme] });
      for (const path of ['/', '/upload'])
        await agreed(
          async (subject) =>
            /<meta name="color-scheme"[^>]*>/.exec(String((await ask(subject, `GET ${path}`))?.body))?.[0],
        );
    },
  );
});

describe('C8-C18, C23 uploading', () => {
  const one: FormPart = { filename: 'good', content: 'abc' };
  test.each<[string, readonly FormPart[]]>([
    ['one file', [one]],
    ['an empty file', [{ filename: 'empty', content: '' }]],
    [
      'many files',
      [0, 1, 999, 1_000, 1_001, 70_000].map((size) => ({ filename: `${size}`, content: contentOf(size) })),
    ],
    ['two of the same name', [one, { ...one, content: 'def' }]],
    ['another field', [{ ...one, field: 'file' }]],
    ['only text', [{ field: 'comment', content: 'abc' }]],
    ['text beside a file', [one, { field: 'comment', content: 'abc' }]],
    ['an empty file name', [{ filename: '', content: '' }]],
    ['an empty file name after a good one', [one, { filename: '', content: '' }]],
    ['a part without file name', [{ content: 'text' }]],
    [
      'folders in the names',
      ['../../esc', 'a/b/c.txt', '/abs/z'].map((filename) => ({ filename, content: filename })),
    ],
    [
      'percent signs and a backslash',
      [
        { filename: '%2E%41', content: 'p' },
        { filename: 'C:\\\\dir\\\\w', content: 'b' },
      ],
    ],
    ['quotes and spaces', [{ filename: 'say \\"hi\\" now', content: 'q' }]],
  ])('%s', async (_, parts) => {
    await both();
    await agreed(async (subject) => line(await upload(subject, parts)));
    const listed = await agreed(async (subject) => entries(await ask(subject, 'GET /')));
    for (const [href] of listed) await agreed(async (subject) => file(await ask(subject, `GET /${href}`)));
  });

  test.each([
    ['PUT', `multipart/form-data; boundary=${BOUNDARY}`, form([one])],
    ['POST', `multipart/form-data; boundary="${BOUNDARY}"`, form([one])],
    [
      'POST',
      `multipart/form-data; boundary=${BOUNDARY}`,
      Buffer.concat([Buffer.from('preamble\r\n'), form([one])]),
    ],
    ['POST', 'application/x-www-form-urlencoded', Buffer.from('files=abc')],
    ['POST', 'application/x-www-form-urlencoded', Buffer.from('other=abc')],
  ])('%s of %s', async (method, type, body) => {
    await both();
    await agreed(async (subject) =>
      line(await ask(subject, `${method} /upload`, { headers: { 'Content-Type': type }, body })),
    );
    await agreed(async (subject) => entries(await ask(subject, 'GET /')));
  });
});

describe('C19-C21 names that are taken', () => {
  const names = ['f1.tar.gz', '.dot', 'plain', 'two words.txt'];
  const round = (content: string) => (subject: Subject) =>
    upload(
      subject,
      names.map((filename) => ({ filename, content })),
    ).then(line);

  test('get a number, and the reason says so', async () => {
    await both({ isFresh: true });
    for (const content of ['one', 'two', 'three']) await agreed(round(content));

    expect(await agreed(async (subject) => entries(await ask(subject, 'GET /')))).toHaveLength(12);
    expect((await agreed(async (subject) => file(await ask(subject, 'GET /f1.tar%20(2).gz')))).body).toBe(
      Buffer.from('three').toString('hex'),
    );
  });

  test('are replaced when that is asked for', async () => {
    await both({ ours: { onConflict: 'replace' }, theirs: ['--allow-replace'] });
    for (const content of ['one', 'two']) await agreed(round(content));

    expect((await agreed(async (subject) => file(await ask(subject, 'GET /plain')))).body).toBe(
      Buffer.from('two').toString('hex'),
    );
    expect(await agreed(async (subject) => entries(await ask(subject, 'GET /')))).toHaveLength(4);
  });
});

describe('C22 logins', () => {
  const reader = { user: 'réader', password: 'pass:wörd' };
  const uploader = { user: 'up', password: 'secret' };
  // With both kinds theirs names what was wrong by the second alone, ours by the user that was given.
  const refusal = (response: RawResponse | undefined) => (isBoth ? response?.status : line(response));
  let isBoth = false;
  const basic = (user: string, password: string) =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const presented = [
    undefined,
    basic(reader.user, reader.password),
    basic(uploader.user, uploader.password),
    basic(reader.user, uploader.password),
    basic('nobody', 'x'),
    basic(reader.user, ''),
    basic(uploader.user, uploader.password).replace('Basic', 'bASIC'),
    'Bearer abc',
  ];
  test.each([
    ['for everything', { basicAuth: reader }, ['--basic-auth', 'réader:pass:wörd']],
    ['for changes', { basicAuthUpload: uploader }, ['--basic-auth-upload', 'up:secret']],
    [
      'of both kinds',
      { basicAuth: reader, basicAuthUpload: uploader },
      ['--basic-auth', 'réader:pass:wörd', '--basic-auth-upload', 'up:secret'],
    ],
  ])('%s let in the same people, and refuse with the same words', async (_, ours, theirs) => {
    await both({ ours, theirs });
    isBoth = theirs.length > 2;
    for (const authorization of presented) {
      const headers: Record<string, string> =
        authorization === undefined ? {} : { Authorization: authorization };
      for (const request of ['GET /', 'GET /upload', 'GET /missing'])
        await agreed(async (subject) => refusal(await ask(subject, request, { headers })));
      const status = await agreed(
        async (subject) => (await upload(subject, [{ filename: 'a', content: 'x' }], headers))?.status,
      );
      if (status === 401) {
        const { body, 'www-authenticate': challenge } = await agreed(async (subject) => {
          const refused = await upload(subject, [{ filename: 'a', content: 'x' }], headers);
          return {
            body: refused?.body.byteLength,
            'www-authenticate': refused?.headers['www-authenticate']?.slice(0, 12),
          };
        });
        expect([body, challenge]).toEqual([0, 'Basic realm=']);
      }
    }
  });
});

describe('C26 C27 logs and clients', () => {
  const logged = (subject: Subject) =>
    subject
      .log()
      .map((entry) => /"(\w+ \S+ HTTP\/1\.1)" (\d+) -$/.exec(entry)?.slice(1).join(' '))
      .filter((each) => each !== undefined);

  test('requests are logged in the same shape', async () => {
    await both({ isFresh: true });
    await agreed(async (subject) => line(await upload(subject, [{ filename: 'a', content: 'x' }])));
    await agreed(async (subject) => line(await ask(subject, 'GET /a')));
    await expect.poll(() => subjects.map((subject) => logged(subject).length)).toEqual([2, 2]);
    await agreed(async (subject) => logged(subject));
    for (const subject of subjects)
      expect(subject.log().join('\n')).toMatch(
        /127\.[\d.]+ - - \[\d\d\/\w{3}\/\d{4} \d\d:\d\d:\d\d\] "POST \/upload HTTP\/1\.1" 204 -/,
      );
  });

  test('curl and Python requests work with both, unmodified', async () => {
    await both({ isFresh: true });
    const python = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
    const script =
      'import requests, sys; r = requests.post(sys.argv[1], files=[("files", ("ä.txt", b"abc")), ("files", ("b", b"d" * 5000))]); print(r.status_code, r.reason)';
    await agreed(async ({ host, port }) => run(python, ['-c', script, `http://${host}:${port}/upload`]));
    await agreed(async ({ host, port }) =>
      run('curl', [
        '-s',
        '-w',
        '%{http_code}',
        '-H',
        'Expect:',
        '-F',
        `files=@${fileURLToPath(import.meta.url)}`,
        `http://${host}:${port}/upload`,
      ]),
    );
    expect(await agreed(async (subject) => entries(await ask(subject, 'GET /')))).toHaveLength(3);
  });
});
