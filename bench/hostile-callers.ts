import { connect, type Socket } from 'node:net';
import { encode } from '@msgpack/msgpack';
import { RpcConnection } from '../node/rpc/rpc-connection.ts';
import { type Dice, hostileInput } from './hostile-inputs.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** How a hostile caller behaves once its bytes are sent. */
const BEHAVIOURS = [
  'leaves',
  'resets',
  'half-closes',
  'stays silent',
  'drips',
  'never reads',
  'floods',
] as const;
/** What one caller waits for the server to close on it before it leaves by itself. */
const PATIENCE_MS = 100;
/** Beyond it an honest caller counts as failed. The machine is busy with the attack itself, so it is not tight. */
const HONEST_TIMEOUT_MS = 10_000;
/** A different address each time, so that the machine does not run out of ports to call from. */
const CALLER_ADDRESSES = 200;

/** One hostile input over a connection of its own. Never throws: what happens to it is the server's business. */
export async function attack(target: Target, dice: Dice): Promise<void> {
  let bytes = hostileInput(dice);
  // A node started by hand obeys `kill` from anybody, as the course's own does.
  while (Buffer.from(bytes).includes('kill')) bytes = hostileInput(dice);
  const behaviour = dice.pick(BEHAVIOURS);
  const socket = connect({ ...target, localAddress: `127.22.9.${1 + dice.below(CALLER_ADDRESSES)}` });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', () => resolve())), closed]);
  if (behaviour === 'drips') drip(socket, bytes);
  else socket.write(bytes);
  if (behaviour === 'never reads') leaveUnread(socket);
  else socket.resume();
  if (behaviour === 'floods') flood(socket, dice);
  if (behaviour === 'resets') socket.resetAndDestroy();
  if (behaviour === 'half-closes') socket.end();
  const timer = setTimeout(
    () => socket.resetAndDestroy(),
    behaviour === 'leaves' ? 0 : dice.below(PATIENCE_MS),
  );
  await closed;
  clearTimeout(timer);
}

function drip(socket: Socket, bytes: Uint8Array): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at >= bytes.length || socket.destroyed) clearInterval(timer);
    else socket.write(bytes.subarray(at, ++at));
  }, 5);
  socket.once('close', () => clearInterval(timer));
}

/** Good calls whose answers are left lying. */
function leaveUnread(socket: Socket): void {
  socket.pause();
  const call = encode([0, 1, 'get_info', []]);
  socket.write(Buffer.concat(Array.from({ length: 500 }, () => call)));
}

/** Lookups that lead to calls between members, many at once. */
function flood(socket: Socket, dice: Dice): void {
  const calls = Array.from({ length: 200 }, (_, i) =>
    encode([0, i, 'find_successor', [dice.below(2 ** 32)]]),
  );
  socket.write(Buffer.concat(calls));
}

/** Connections that send half a message and are held open. Returns how to let go of them. */
export async function holdOpen(target: Target, count: number): Promise<() => Promise<void>> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const socket = connect({ ...target, localAddress: `127.22.9.${1 + (i % CALLER_ADDRESSES)}` });
      socket.on('error', () => undefined);
      await new Promise<void>((resolve) => {
        socket.once('connect', () => resolve());
        socket.once('close', () => resolve());
      });
      socket.write(Buffer.from([0x94, 0x00, 0x01]));
      return socket;
    }),
  );
  return async () => {
    await Promise.all(
      sockets.map((socket) => {
        if (socket.destroyed) return undefined;
        const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
        socket.resetAndDestroy();
        return closed;
      }),
    );
  };
}

export interface HonestRecord {
  readonly latenciesMs: number[];
  readonly failures: string[];
}

/** Calls `find_successor` again and again, half of the time on a fresh connection, until `isOver`. */
export async function callHonestly(
  target: Target,
  { isOver, record }: { readonly isOver: () => boolean; readonly record: HonestRecord },
): Promise<void> {
  let connection: RpcConnection | undefined;
  for (let i = 0; !isOver(); i++) {
    const startMs = performance.now();
    try {
      if (connection?.isOpen !== true) {
        connection = await RpcConnection.open({ ...target, connectTimeoutMs: HONEST_TIMEOUT_MS });
      }
      const found = await connection.call('find_successor', [607_204_990], { timeoutMs: HONEST_TIMEOUT_MS });
      if (!Array.isArray(found) || found.length !== 3) throw new Error(`answered ${JSON.stringify(found)}`);
      record.latenciesMs.push(performance.now() - startMs);
    } catch (error) {
      record.failures.push(`${String(error)} ${JSON.stringify(error)}`);
    }
    if (i % 2 === 0) connection?.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  connection?.close();
}
