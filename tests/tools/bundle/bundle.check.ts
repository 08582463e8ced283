import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensurePackaged } from '../../../clients/up/packaging.ts';
import { buildNodeBundle, type NodeBundle } from '../../../plugins/node-bundle/build-node-bundle.ts';
import { nodeOfMajor, PROJECT } from '../programs.ts';

const SOURCES = ['domain', 'node', 'package.json', 'package-lock.json', 'tsconfig.json'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-bundle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A checkout of its own, at a path of its own. */
async function checkout(name: string): Promise<string> {
  const directory = join(folder, name);
  for (const source of SOURCES) await cp(join(PROJECT, source), join(directory, source), { recursive: true });
  await symlink(join(PROJECT, 'node_modules'), join(directory, 'node_modules'));
  await mkdir(join(directory, '.build'));
  await mkdir(join(PROJECT, '.build', 'native'), { recursive: true });
  await symlink(join(PROJECT, '.build', 'native'), join(directory, '.build', 'native'));
  return directory;
}
const build = (projectDirectory: string, output: string): Promise<NodeBundle> =>
  buildNodeBundle({ projectDirectory, entry: 'node/main.ts', outputDirectory: join(folder, output) });

test('the bundle has the same hash built twice, and built in another folder', async () => {
  const first = await build(PROJECT, 'first');
  const again = await build(PROJECT, 'again');
  const elsewhere = await build(await checkout('a checkout elsewhere'), 'elsewhere');

  expect(again.sha256).toBe(first.sha256);
  expect(elsewhere.sha256).toBe(first.sha256);
  process.stdout.write(`bundle ${first.sha256}: ${first.sizeBytes} bytes\n`);
});

interface Ready {
  readonly endpoint: string;
  readonly nodes: readonly { readonly publicIp: string }[];
}

/** The packaged service with one node, everything run by the given Node.js. */
describe('a node starts from the bundle on an empty folder, joins and serves', () => {
  let cloud: ChildProcess | undefined;
  beforeAll(() =>
    ensurePackaged({
      projectDirectory: PROJECT,
      signal: AbortSignal.timeout(170_000),
      onStart: () => undefined,
    }),
  );
  afterEach(async () => {
    if (cloud === undefined || cloud.exitCode !== null) return;
    cloud.kill();
    await once(cloud, 'exit');
  });

  async function start(program: string): Promise<Ready> {
    const command = ['up', '--json', '--port', '0', '--desired', '1', '--max', '1', '--first-host', '70'];
    cloud = spawn(program, [join(PROJECT, 'clients/bin/chordfs.mjs'), ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = cloud;
    if (stdout === null) throw new Error('no output');
    for await (const line of createInterface({ input: stdout })) return JSON.parse(line) as Ready;
    throw new Error('it ended before it was ready');
  }

  test.each([
    { major: 20, program: () => process.execPath },
    { major: 22, program: () => nodeOfMajor(22) },
    { major: 24, program: () => nodeOfMajor(24) },
  ])('with Node.js $major', async ({ program }) => {
    const { endpoint, nodes } = await start(program());

    const url = `http://${nodes[0]?.publicIp}:5058/hello.txt`;
    expect((await fetch(url, { method: 'PUT', body: 'hello' })).ok).toBe(true);
    expect(await (await fetch(url)).text()).toBe('hello');
    const state = await fetch(new URL('/_chordfs/local', endpoint));
    const { instances } = (await state.json()) as { readonly instances: readonly { readonly pid: number }[] };
    // What serves is that Node.js, not the one that the tests run on.
    expect(await readlink(`/proc/${instances[0]?.pid}/exe`)).toBe(program());
  });
});
