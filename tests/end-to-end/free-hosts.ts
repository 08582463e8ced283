import { once } from 'node:events';
import { createServer } from 'node:net';

const PORTS = [5057, 5058];
/** Hosts that one cloud of at most five instances uses up, with room for those that replace others. */
const HOSTS_PER_CLOUD = 10;
/** `chordfs up` takes no first host beyond this. */
const LAST_FIRST_HOST = 150;

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  server.listen({ port, host, exclusive: true });
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

async function areFree(firstHost: number): Promise<boolean> {
  for (let host = firstHost + 1; host <= firstHost + HOSTS_PER_CLOUD; host++) {
    for (const prefix of ['127.0.0', '127.10.0']) {
      for (const port of PORTS) if (!(await isFree(port, `${prefix}.${host}`))) return false;
    }
  }
  return true;
}

/**
 * A value for `--first-host` whose addresses nobody uses now, so that the suite runs beside other suites and beside a
 * cloud that somebody is looking at.
 */
export async function freeFirstHost(): Promise<number> {
  const stretches = Math.floor((LAST_FIRST_HOST - 2 * HOSTS_PER_CLOUD) / HOSTS_PER_CLOUD);
  for (let i = 0; i <= stretches; i++) {
    // Suites started at the same time begin at different stretches.
    const firstHost = 2 * HOSTS_PER_CLOUD + ((process.pid + i) % (stretches + 1)) * HOSTS_PER_CLOUD;
    if (await areFree(firstHost)) return firstHost;
  }
  throw new Error('every stretch of addresses is in use: stop the local clouds that run on this machine');
}
