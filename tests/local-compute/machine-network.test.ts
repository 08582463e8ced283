import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InstanceProcess } from '../../local/instances/instance-process.ts';
import { CALM, type Weather } from '../../local/instances/weather.ts';
import { until } from './compute-fixture.ts';

/**
 * An HTTP server that answers with its clock, or with what another server answers when it is asked to relay: with
 * `fetch`, or with an agent that keeps connections open, as the SDK's clients do.
 */
const SERVER = `
import { Agent, createServer, get } from 'node:http';
const agent = new Agent({ keepAlive: true });
const getByAgent = (url, signal) =>
  new Promise((resolve, reject) => {
    get(url, { agent, signal }, async (answer) => resolve(Buffer.concat(await answer.toArray()).toString()))
      .on('error', reject);
  });
const getByFetch = async (url, signal) => (await fetch(url, { signal })).text();
createServer(async (request, response) => {
  const asked = new URL(request.url, 'http://x').searchParams;
  const to = asked.get('relay');
  if (to === null) return response.end(String(Date.now()) + ' ' + new Date().getTime());
  const signal = AbortSignal.timeout(Number(request.headers['x-timeout'] ?? 5000));
  try {
    response.end(await (asked.has('agent') ? getByAgent : getByFetch)(to, signal));
  } catch (error) {
    response.writeHead(504).end(String(error.cause?.code ?? error.name));
  }
}).listen(5058, process.env.ADDRESS);
`;
const [HERE, THERE] = ['127.20.2.11', '127.20.2.12'];

let directory: string;
const running: InstanceProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chordfs-weather-'));
  await writeFile(join(directory, 'main.mjs'), SERVER);
});
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop();
  await rm(directory, { recursive: true, force: true });
});

async function start(address: string, weather: Weather = CALM): Promise<InstanceProcess> {
  const own = join(directory, address);
  await mkdir(own);
  const process = await InstanceProcess.start({
    bundleDirectory: directory,
    directory: own,
    environment: { ADDRESS: address },
    weather,
    exited: () => undefined,
  });
  running.push(process);
  await until('it answers', () => ask(address).then(({ status }) => status === 200));
  return process;
}

/** How the server relays. */
let client: 'fetch' | 'agent' = 'fetch';
afterEach(() => {
  client = 'fetch';
});

async function ask(address: string, relay?: string, timeoutMs = 5_000) {
  const query =
    relay === undefined ? '' : `?relay=${encodeURIComponent(`http://${relay}:5058/`)}&${client}=yes`;
  const answer = await fetch(`http://${address}:5058/${query}`, {
    headers: { 'x-timeout': String(timeoutMs) },
  }).catch(() => undefined);
  return { status: answer?.status, text: (await answer?.text()) ?? '' };
}

const cut = (address: string): Weather => ({ ...CALM, unreachable: [{ address }] });

describe('a machine whose network is cut', () => {
  test.each([
    ['a new connection', 'on one it has', 'fetch' as const],
    ['a new connection of an agent', 'on one that the agent keeps', 'agent' as const],
  ])('hears nothing from an unreachable machine, neither on %s nor %s', async (_new, _kept, by) => {
    client = by;
    const here = await start(HERE);
    await start(THERE);
    expect((await ask(HERE, THERE)).status).toBe(200);

    here.setWeather(cut(THERE));

    const isCut = async () => (await ask(HERE, THERE, 300)).status === 504;
    await until('the cut', isCut);
    // The connection that was open is given up by now; this takes a new one.
    expect(await isCut()).toBe(true);
    // Only the way between the two is cut.
    expect((await ask(HERE)).status).toBe(200);
    expect((await ask(THERE)).status).toBe(200);
  });

  test('is heard again when the cut is over, and what was asked meanwhile is answered late', async () => {
    const here = await start(HERE, cut(THERE));
    await start(THERE);
    const patient = ask(HERE, THERE, 30_000);
    expect((await ask(HERE, THERE, 300)).text).toBe('TimeoutError');

    here.setWeather(CALM);

    expect((await patient).status).toBe(200);
    expect((await ask(HERE, THERE)).status).toBe(200);
  });

  test('does not answer those it cannot reach', async () => {
    const [here] = [await start(HERE), await start(THERE)];
    // Loopback traffic to an address without a bound source comes from 127.0.0.1: this test itself.
    here.setWeather({ ...CALM, unreachable: [{ prefix: '127.0.0.' }] });

    const asked = ask(HERE);
    expect((await ask(THERE, HERE, 300)).status).toBe(504);
    here.setWeather(CALM);

    expect((await asked).status).toBe(200);
  });
});

describe('a machine whose clock is wrong', () => {
  test('tells the wrong time, from the moment it is set until it is set right', async () => {
    const process = await start(HERE, { ...CALM, clockSkewMs: -3_600_000 });
    const skews = async () => (await ask(HERE)).text.split(' ').map((ms) => Number(ms) - Date.now());

    for (const skew of await skews()) expect(Math.round(skew / 60_000)).toBe(-60);
    process.setWeather(CALM);
    await until('the right time', async () => Math.abs((await skews())[0] ?? 0) < 60_000);
  });
});
