import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { descendantsOf } from '../../clients/up/descendants.ts';
import { type Command, firstHost, folder, start } from './command.ts';
import { download, upload } from './node-client.ts';
import { until } from './until.ts';

interface ReadyLine {
  readonly ready: true;
  readonly endpoint: string;
  readonly nodes: readonly { readonly publicIp: string }[];
}

async function ready({ lines, errors }: Command): Promise<ReadyLine> {
  const line = await until(
    'the ready line',
    () => {
      if (lines[0] === undefined) throw new Error(errors.join('\n'));
      return lines[0];
    },
    90_000,
  );
  return JSON.parse(line);
}

async function exitCode({ child }: Command): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function processesOf({ child }: Command): number[] {
  return child.pid === undefined ? [] : [child.pid, ...descendantsOf(child.pid)];
}

describe('chordfs up --json', () => {
  test('a second start in the same --dir finds the files of the first', { timeout: 180_000 }, async () => {
    const directory = join(folder, 'cloud');
    const firstLife = start(['--json', '--dir', directory]);
    const [first] = (await ready(firstLife)).nodes;
    expect(await upload(first?.publicIp ?? '', 'kept.txt', Buffer.from('still here'))).toBe(204);
    firstLife.child.kill('SIGTERM');
    expect(await exitCode(firstLife)).toBe(0);

    const secondLife = start(['--json', '--dir', directory]);
    const { nodes } = await ready(secondLife);
    expect(nodes).toHaveLength(2);
    for (const { publicIp } of nodes) {
      const found = await until('the file of the first life', async () => {
        const answer = await download(publicIp, 'kept.txt');
        return answer.status === 200 && answer;
      });
      expect(found.body.toString()).toBe('still here');
    }
    for (const line of [...firstLife.lines, ...secondLife.lines])
      expect(() => JSON.parse(line)).not.toThrow();
  });

  test.each([
    ['node', 'SIGINT'],
    ['npm', 'SIGTERM'],
  ] as const)(
    'started by %s, %s stops every process and removes what was temporary',
    { timeout: 180_000 },
    async (through, signal) => {
      const command = start(['--json'], through);
      await ready(command);
      const processes = processesOf(command);
      expect(processes.length).toBeGreaterThanOrEqual(3);
      const atMs = performance.now();

      command.child.kill(signal);
      await exitCode(command);
      await until('every process is gone', () => !processes.some(isAlive), 10_000);

      expect(performance.now() - atMs).toBeLessThan(10_000);
      expect((await readdir(folder)).filter((name) => name.startsWith('chordfs-'))).toEqual([]);
      // One ready line, then events: a program can parse every line of stdout, npm's banner included.
      const [first, ...events] = command.lines.map((line) => JSON.parse(line));
      expect(first.ready).toBe(true);
      for (const event of events) expect(event).toHaveProperty('detail-type');
    },
  );

  test('interrupted while it starts it stops too', { timeout: 60_000 }, async () => {
    const command = start(['--json']);
    await until(
      'the start of the cloud',
      () => command.errors.some((line) => /^Starting/.test(line)),
      60_000,
    );
    const processes = processesOf(command);
    command.child.kill('SIGTERM');
    expect(await exitCode(command)).toBe(0);
    await until('every process is gone', () => !processes.some(isAlive), 10_000);
    expect(command.lines).toEqual([]);
  });
});

describe('chordfs up fails with a clear error and leaves nothing behind', () => {
  let occupant: Server;

  beforeEach(() => {
    occupant = createServer();
  });
  afterEach(async () => {
    occupant.close();
    await once(occupant, 'close');
  });

  async function occupy(port: number, host: string): Promise<number> {
    occupant.listen(port, host);
    await once(occupant, 'listening');
    return (occupant.address() as { port: number }).port;
  }

  test('when the port of the endpoint is taken', { timeout: 60_000 }, async () => {
    const port = await occupy(0, '127.0.0.1');
    const command = start(['--json', '--port', String(port)]);
    expect(await exitCode(command)).toBe(1);
    expect(command.errors.join('\n')).toMatch(new RegExp(`error: .*${port}`));
    expect(command.lines).toEqual([]);
  });

  test("when an instance's address is taken", { timeout: 60_000 }, async () => {
    const address = `127.0.0.${firstHost + 1}`;
    await occupy(5058, address);
    const command = start(['--json']);
    expect(await exitCode(command)).toBe(1);
    expect(command.errors.join('\n')).toContain(address);
    expect(
      existsSync(folder) && (await readdir(folder)).filter((name) => name.startsWith('chordfs-')),
    ).toEqual([]);
  });

  test('when an option is wrong', async () => {
    await occupy(0, '127.0.0.1');
    const command = start(['--volume', 'huge']);
    expect(await exitCode(command)).toBe(1);
    expect(command.errors.join('\n')).toContain('256MiB');
    expect(command.lines).toEqual([]);
  });
});
