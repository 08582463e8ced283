import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensurePackaged } from '../../clients/up/packaging.ts';

let projectDirectory: string;

function write(path: string, content: string): void {
  mkdirSync(dirname(join(projectDirectory, path)), { recursive: true });
  writeFileSync(join(projectDirectory, path), content);
}

/** Stands in for the packager: a project may bring any package called `serverless`. */
function packagerThat(body: string): void {
  write('node_modules/serverless/package.json', '{"name":"serverless","type":"commonjs"}');
  write(
    'node_modules/serverless/bin/serverless.js',
    `const fs = require('node:fs');
     fs.appendFileSync('runs', process.argv.slice(2).join(' ') + '\\n');
     ${body}`,
  );
}
const MAKES_EVERYTHING = `
  fs.mkdirSync('.serverless/node', { recursive: true });
  fs.writeFileSync('.serverless/cloudformation-template-update-stack.json', '{}');
  fs.writeFileSync('.serverless/node/bundle.json', '{}');`;

/** Packages once; resolves to how often the packager has run so far. */
async function runsAfterPackaging(signal = new AbortController().signal): Promise<number> {
  await ensurePackaged({ projectDirectory, signal, onStart: () => undefined });
  return readFileSync(join(projectDirectory, 'runs'), 'utf8').split('\n').length - 1;
}

beforeEach(() => {
  projectDirectory = mkdtempSync(join(tmpdir(), 'chordfs-packaging-'));
  write('package.json', '{}');
  write('serverless.yml', 'service: x');
  write('node/main.ts', 'a');
  packagerThat(MAKES_EVERYTHING);
});
afterEach(() => rmSync(projectDirectory, { recursive: true }));

test('packages a fresh clone, and not again until a source changes', async () => {
  expect(await runsAfterPackaging()).toBe(1);
  expect(readFileSync(join(projectDirectory, 'runs'), 'utf8')).toBe('package\n');
  expect(await runsAfterPackaging()).toBe(1);

  write('node/deep/new.ts', 'b');
  expect(await runsAfterPackaging()).toBe(2);

  rmSync(join(projectDirectory, 'node/deep/new.ts'));
  expect(await runsAfterPackaging()).toBe(3);
});

test('goes by content: a source that was only touched changes nothing', async () => {
  await runsAfterPackaging();
  write('node/main.ts', 'a');
  expect(await runsAfterPackaging()).toBe(1);
});

test('packages again when part of the package is gone', async () => {
  await runsAfterPackaging();
  rmSync(join(projectDirectory, '.serverless/node/bundle.json'));
  expect(await runsAfterPackaging()).toBe(2);
});

test('a failure shows what the packager said, and counts as not packaged', async () => {
  packagerThat(`console.error('Cannot resolve variable at "custom.x"'); process.exit(1);`);
  await expect(runsAfterPackaging()).rejects.toThrow(/exit code 1[\s\S]*Cannot resolve variable/);
  packagerThat(MAKES_EVERYTHING);
  expect(await runsAfterPackaging()).toBe(2);
});

test('a packager that ends well without a package is a failure too', async () => {
  packagerThat('');
  await expect(runsAfterPackaging()).rejects.toThrow('made no .serverless/cloudformation');
});

test('starts at the same time package once', async () => {
  packagerThat(`${MAKES_EVERYTHING} fs.writeFileSync('overlap', 'x', { flag: 'wx' }); fs.rmSync('overlap');`);
  await Promise.all([runsAfterPackaging(), runsAfterPackaging(), runsAfterPackaging()]);
  expect(await runsAfterPackaging()).toBe(1);
});

test('a start that died while it packaged does not block the next', async () => {
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  write('.build/packaging.lock', String(dead));
  expect(await runsAfterPackaging()).toBe(1);
});

test('an interrupted run leaves no stamp and no packager behind', async () => {
  packagerThat(
    `${MAKES_EVERYTHING} fs.writeFileSync('pid', String(process.pid)); setInterval(() => 0, 1000);`,
  );
  const controller = new AbortController();
  const packaging = runsAfterPackaging(controller.signal);
  await expect.poll(() => readPid(), { timeout: 10_000 }).toBeGreaterThan(0);
  controller.abort();
  await expect(packaging).rejects.toThrow();
  await expect.poll(() => isAlive(readPid()), { timeout: 10_000 }).toBe(false);
  packagerThat(MAKES_EVERYTHING);
  expect(await runsAfterPackaging()).toBe(2);
});

function readPid(): number {
  try {
    return Number(readFileSync(join(projectDirectory, 'pid'), 'utf8'));
  } catch {
    return 0;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
