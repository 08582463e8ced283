import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SHIM = join(dirname(fileURLToPath(import.meta.url)), '../../clients/bin/chordfs.mjs');
/** Port 1 of the loopback interface: nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1';

function chordfs(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [SHIM, ...argv], { encoding: 'utf8', timeout: 30_000 });
}

test('--help lists the commands', () => {
  const { status, stdout } = chordfs('--help');
  expect(status).toBe(0);
  for (const command of ['up', 'nodes', 'log']) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
});

test('a bad option is one error that says what is right and where to read on, and a failure', () => {
  const { status, stdout, stderr } = chordfs('up', '--time-scale', '0');
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain(
    "option '--time-scale <factor>' argument '0' is invalid. It must be a number from 1",
  );
  expect(stderr).toContain('chordfs up --help');
});

test('contradicting group sizes are a failure', () => {
  const { status, stderr } = chordfs('up', '--desired', '9');
  expect(status).toBe(1);
  expect(stderr).toContain('--desired (9) must not be greater than --max (5)');
});

test('an unknown command is a failure', () => {
  const { status, stderr } = chordfs('down');
  expect(status).toBe(1);
  expect(stderr).toContain("unknown command 'down'");
});

test.each(['nodes', 'log'])('%s without a cloud says that there is none, and how to have one', (command) => {
  const { status, stdout, stderr } = chordfs(command, '--endpoint-url', NOWHERE);
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^error: .*127\.0\.0\.1:1: no cloud is running there/);
});
