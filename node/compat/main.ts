import { isIP } from 'node:net';
import { RpcMethods } from '../rpc/rpc-methods.ts';
import { RpcServer } from '../rpc/rpc-server.ts';
import { courseIdentifier } from './course-identifier.ts';
import { addCourseMethods } from './course-methods.ts';
import { CourseRing } from './course-ring.ts';

const USAGE = 'usage: chord <ip> <port> [intervalMs]';
const DEFAULT_INTERVAL_MS = 2_000;
const MIN_INTERVAL_MS = 50;
const MAX_INTERVAL_MS = 3_600_000;
const MAX_PORT = 65_535;
/** Time for the answer to `kill` to leave. */
const KILL_GRACE_MS = 50;
/** A call that hangs at a peer must not keep a node alive that was told to end. */
const CLOSE_GRACE_MS = 500;

interface Arguments {
  readonly ip: string;
  readonly port: number;
  readonly intervalMs: number;
}

/** What was asked for, or what is wrong with it. */
function parseArguments(argv: readonly string[]): Arguments | string {
  const [ip, portText, intervalText = String(DEFAULT_INTERVAL_MS), ...rest] = argv;
  if (ip === undefined || portText === undefined) return 'ip and port are missing';
  if (rest.length > 0) return `one argument too many: ${rest[0]}`;
  const port = wholeNumber(portText);
  const intervalMs = wholeNumber(intervalText);
  if (isIP(ip) !== 4) return `not an IPv4 address: ${ip}`;
  if (port < 1 || port > MAX_PORT) return `not a port: ${portText}`;
  if (intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS) {
    return `not an interval from ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS} ms: ${intervalText}`;
  }
  return { ip, port, intervalMs };
}

/** -1 for anything but digits: `Number` would take an empty text for 0 and 0x10 for 16. */
function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : -1;
}

async function listen(server: RpcServer, { ip, port }: Arguments): Promise<void> {
  try {
    await server.listen(ip, port);
  } catch (error) {
    // The address others know this machine by need not be one of its own: behind a NAT it is not.
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRNOTAVAIL')) throw error;
    await server.listen('0.0.0.0', port);
  }
}

/** `chord <ip> <port> [intervalMs]`: the course's node. Ends by `kill`, SIGINT or SIGTERM. */
export async function main(argv: readonly string[]): Promise<void> {
  const parsed = parseArguments(argv);
  if (typeof parsed === 'string') {
    process.stderr.write(`chord: ${parsed}\n${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const { ip, port, intervalMs } = parsed;
  const ring = new CourseRing({ self: { ip, port, id: courseIdentifier(ip, port) }, intervalMs });
  const methods = new RpcMethods();
  const server = new RpcServer({
    methods,
    onBug: (error, method) =>
      process.stderr.write(`${method}: ${error instanceof Error ? error.stack : error}\n`),
  });
  const stop = (): void => {
    ring.stop();
    void server.close();
    setTimeout(() => process.exit(), CLOSE_GRACE_MS).unref();
  };
  addCourseMethods(methods, ring, () => setTimeout(stop, KILL_GRACE_MS));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await listen(server, parsed);
  } catch (error) {
    process.stderr.write(`chord: cannot listen on ${ip}:${port}: ${String(error)}\n`);
    process.exitCode = 1;
    stop();
    return;
  }
  process.stdout.write(`chord ${ip}:${port} ${ring.view.self.id}\n`);
}
