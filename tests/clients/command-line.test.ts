import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { marshall } from '@aws-sdk/util-dynamodb';
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

test('log ends quietly when its reader has seen enough', async () => {
  const detail = {
    stage: 'dev',
    ringId: '',
    epoch: 1,
    cause: 'any',
    correlationId: 'a',
    before: {},
    after: {},
  };
  const event = { id: 'a', source: 'chordfs.control', detailType: 'Ring Reset', atMs: 1, detail };
  const table = createServer((_request, response) => {
    // The rows come when nobody reads any more.
    child.stdout.destroy();
    response.end(JSON.stringify({ Items: [marshall({ event })], Count: 1, ScannedCount: 1 }));
  });
  await once(table.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(table.address() as AddressInfo).port}`;
  const child = spawn(process.execPath, [SHIM, 'log', '--endpoint-url', url]);
  let errors = '';
  child.stderr.on('data', (piece: Buffer) => {
    errors += String(piece);
  });

  const [status] = (await once(child, 'close')) as [number | null];
  table.close();

  expect({ status, errors }).toEqual({ status: 0, errors: expect.not.stringContaining('EPIPE') as string });
});
