import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { descendantsOf, killDescendants } from '../../clients/up/descendants.ts';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('finds and ends children and grandchildren that ignore every polite request', async () => {
  // The name in parentheses ends up in /proc/<pid>/stat, where a careless reader stumbles over it.
  const grandchild = "process.title='a ) R 1 (b'; process.on('SIGTERM', () => 0); setInterval(() => 0, 1000)";
  const script = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}])`;
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  started.push(child);
  const own = (): number[] => descendantsOf(child.pid ?? 0);
  await expect.poll(own, { timeout: 10_000 }).toHaveLength(1);
  const [grandchildPid = 0] = own();
  expect(descendantsOf(process.pid)).toEqual(expect.arrayContaining([child.pid, grandchildPid]));

  const ended = once(child, 'exit');
  killDescendants(child.pid ?? 0, process.kill);

  await ended;
  await expect.poll(() => isAlive(grandchildPid), { timeout: 10_000 }).toBe(false);
});
