/**
 * Loaded into every node process of the local cloud before its own code (`node --import`): what the machine around
 * the process does to it. File descriptor 3 is a pipe from the cloud that started it. Its end means that the cloud
 * has died, however that happened: the process then ends too. What comes through it, one JSON object a line, is the
 * weather: whom the machine's network cannot reach, and how wrong its clock is. The product knows nothing of it.
 */
import { Socket } from 'node:net';
import { setClockSkew } from './machine-clock.mjs';
import { setUnreachable } from './machine-network.mjs';

const LIFELINE_FD = 3;
/** The weather at boot: the pipe would tell of it only after the product's first connections. */
const WEATHER_VARIABLE = 'CHORDFS_LOCAL_WEATHER';

function take(text) {
  const { unreachable, clockSkewMs } = JSON.parse(text);
  setUnreachable(unreachable);
  setClockSkew(clockSkewMs);
}

const atBoot = process.env[WEATHER_VARIABLE];
delete process.env[WEATHER_VARIABLE];
if (atBoot !== undefined) take(atBoot);

const lifeline = new Socket({ fd: LIFELINE_FD, readable: true, writable: false });
lifeline.on('error', () => process.kill(process.pid, 'SIGKILL'));
lifeline.on('close', () => process.kill(process.pid, 'SIGKILL'));
let rest = '';
lifeline.setEncoding('utf8');
lifeline.on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) take(line);
});
// Waiting for the end of the world must not keep a finished process alive.
lifeline.unref();
