/** `chordfs up` as a process of its own, on addresses and in a folder that nobody else uses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach } from 'vitest';
import { freeFirstHost } from './free-hosts.ts';
import { PROJECT } from './test-cloud.ts';

export interface Command {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly errors: string[];
}
const started: ChildProcess[] = [];
export let folder: string;
export let firstHost: number;

beforeEach(async () => {
  firstHost = await freeFirstHost();
  folder = await mkdtemp(join(tmpdir(), 'chordfs-command-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
  await rm(folder, { recursive: true, force: true });
});

/** Whoever runs these tests through npm may have changed npm's settings for itself; a user's npm has the project's. */
const asFromAShell = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_config_')),
);

/** Runs `chordfs up`, or with `npm` in front as most people do. */
export function start(options: readonly string[], through: 'node' | 'npm' = 'node'): Command {
  const common = ['--port', '0', '--first-host', String(firstHost), ...options];
  const [command, argv] =
    through === 'npm'
      ? ['npm', ['start', '--', ...common]]
      : [process.execPath, [join(PROJECT, 'clients/bin/chordfs.mjs'), 'up', ...common]];
  const child = spawn(command as string, argv as string[], {
    cwd: PROJECT,
    env: { ...asFromAShell, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  const lines: string[] = [];
  const errors: string[] = [];
  if (child.stdout !== null) createInterface(child.stdout).on('line', (line) => lines.push(line));
  if (child.stderr !== null) createInterface(child.stderr).on('line', (line) => errors.push(line));
  return { child, lines, errors };
}
