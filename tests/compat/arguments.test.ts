import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../clients/bin/chord.mjs', import.meta.url));

test.each([
  ['ip and port are missing', []],
  ['ip and port are missing', ['127.0.0.1']],
  ['not an IPv4 address: localhost', ['localhost', '5057']],
  ['not a port: 65536', ['127.0.0.1', '65536']],
  ['not a port: 0x10', ['127.0.0.1', '0x10']],
  ['not an interval from 50 to 3600000 ms: soon', ['127.0.0.1', '5057', 'soon']],
  ['one argument too many: more', ['127.0.0.1', '5057', '2000', 'more']],
])('chord says "%s", how it is used, and ends with 2', async (problem, argv) => {
  const child = spawn(process.execPath, [PROGRAM, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);

  expect(said).toBe(`chord: ${problem}\nusage: chord <ip> <port> [intervalMs]\n`);
  expect(code).toBe(2);
});
