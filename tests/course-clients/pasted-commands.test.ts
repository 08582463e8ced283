import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { folder, start } from '../end-to-end/command.ts';
import { until } from '../end-to-end/until.ts';

test('chordfs up prints an upload and a download command that work when pasted', {
  timeout: 120_000,
}, async () => {
  const command = start([]);
  await until(
    'the scaling log',
    () => {
      if (!command.lines.includes('Scaling log:')) throw new Error(command.lines.join('\n'));
      return true;
    },
    90_000,
  );
  const pasted = command.lines.filter((line) => line.includes('/clients/'));
  expect(pasted).toHaveLength(2);
  for (const line of pasted) {
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd: folder, timeout: 30_000 });
    expect(stdout).toMatch(/^Hash of README\.md is \d+\n(Upload|Download)ing file (to|from) http:/);
  }
});
