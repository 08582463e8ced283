import { syncBuiltinESMExports } from 'node:module';
import net, { type Socket } from 'node:net';

/**
 * A switch that cuts this process off from some addresses, without touching the machine's network: bytes to and from
 * them are held back, and new connections hang, exactly as behind a firewall that drops. Import it before anything
 * that uses `node:net`.
 */
const sockets = new Set<Socket>();
let cutOff: ReadonlySet<string> = new Set();

function isCut(socket: Socket): boolean {
  return socket.remoteAddress !== undefined && cutOff.has(socket.remoteAddress);
}

function hold(socket: Socket): void {
  socket.pause();
  socket.cork();
}

function track(socket: Socket): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  if (isCut(socket)) setImmediate(hold, socket);
}

const { connect, createServer } = net;
net.connect = ((options: net.NetConnectOpts, ...rest: []) => {
  const host = 'host' in options ? options.host : undefined;
  if (host !== undefined && cutOff.has(host)) return new net.Socket();
  const socket = connect(options, ...rest);
  socket.once('connect', () => track(socket));
  return socket;
}) as typeof net.connect;
net.createServer = ((options: net.ServerOpts, listener: (socket: Socket) => void) =>
  createServer(options, (socket) => {
    listener(socket);
    track(socket);
  })) as typeof net.createServer;
syncBuiltinESMExports();

/** From now on these addresses are out of reach, and no others. */
export function cutOffFrom(addresses: readonly string[]): void {
  const before = cutOff;
  cutOff = new Set(addresses);
  for (const socket of sockets) {
    const wasCut = socket.remoteAddress !== undefined && before.has(socket.remoteAddress);
    if (isCut(socket) && !wasCut) hold(socket);
    if (!isCut(socket) && wasCut) {
      socket.uncork();
      socket.resume();
    }
  }
}
