/**
 * A machine's network that may be cut: packets from and to an unreachable address vanish. Nothing is refused and
 * nothing is closed, so that the other side looks slow for ever, as it does behind a real partition. What was on its
 * way when the cut came is delivered once it is over, as TCP would do it by sending again.
 *
 * Done where Node's own sockets meet libuv: the handle of a cut socket is neither read nor written nor closed.
 */
import { EventEmitter } from 'node:events';
import { Server, Socket } from 'node:net';

/** Rules in force: `address` or `prefix`, and `port` when only that one is meant. */
let rules = [];
/** Open sockets with whom they lead to. */
const sockets = new Map();
/** Handles whose socket was given up while it was cut: the far side hears of it afterwards. */
const abandoned = new Map();

function isUnreachable({ address, port }) {
  return rules.some(
    (rule) =>
      (rule.prefix === undefined ? rule.address === address : address.startsWith(rule.prefix)) &&
      (rule.port === undefined || rule.port === port),
  );
}

function watch(socket, peer) {
  sockets.set(socket, peer);
  socket.once('close', () => sockets.delete(socket));
  if (isUnreachable(peer)) cut(socket, peer);
}

/** Takes the socket's methods away, and gives them back with what was asked of them meanwhile. */
function cut(socket, peer) {
  if (socket.cutOff !== undefined) return;
  const handle = socket._handle;
  const held = [];
  const cutOff = { handle, held, wasReading: handle?.reading === true };
  socket.cutOff = cutOff;
  if (handle) {
    handle.readStop();
    handle.readStart = () => {
      cutOff.wasReading = true;
      return 0;
    };
    handle.readStop = () => {
      cutOff.wasReading = false;
      return 0;
    };
  }
  socket._writeGeneric = (...given) => held.push(() => socket._writeGeneric(...given));
  socket._final = (done) => held.push(() => socket._final(done));
  socket._destroy = (error, done) => {
    delete socket._destroy;
    if (handle && socket._handle === handle) {
      socket._handle = null;
      abandoned.set(handle, peer);
    }
    socket._destroy(error, done);
  };
}

function restore(socket) {
  const { cutOff } = socket;
  if (cutOff === undefined) return;
  delete socket.cutOff;
  for (const name of ['_writeGeneric', '_final', '_destroy']) delete socket[name];
  const { handle, held, wasReading } = cutOff;
  if (handle && socket._handle === handle) {
    delete handle.readStart;
    delete handle.readStop;
    if (wasReading) {
      handle.reading = true;
      handle.readStart();
    }
  }
  if (!socket.destroyed) for (const go of held) go();
}

function peerOf(given) {
  const [first, second] = given;
  // `net.connect` hands over arguments that it has normalized to [options, callback].
  const options = Array.isArray(first) ? first[0] : first;
  if (typeof options === 'object' && options !== null) {
    // A path is a socket in the file system. Agents of `node:http` say null where they mean none.
    if (typeof options.path === 'string') return undefined;
    return { address: String(options.host ?? '127.0.0.1'), port: Number(options.port) };
  }
  return { address: typeof second === 'string' ? second : '127.0.0.1', port: Number(options) };
}

const connect = Socket.prototype.connect;
Socket.prototype.connect = function (...given) {
  const peer = peerOf(given);
  if (peer === undefined) return connect.apply(this, given);
  if (!isUnreachable(peer)) {
    watch(this, peer);
    return connect.apply(this, given);
  }
  // The first packet is lost, and lost again: neither connected nor refused until the cut is over.
  sockets.set(this, peer);
  this.once('close', () => sockets.delete(this));
  this.connecting = true;
  this.cutOff = {
    held: [
      () => {
        this.connecting = false;
        connect.apply(this, given);
      },
    ],
  };
  return this;
};

const emit = EventEmitter.prototype.emit;
Server.prototype.emit = function (name, ...given) {
  const [socket] = given;
  if (name === 'connection' && socket instanceof Socket && socket.remoteAddress !== undefined) {
    watch(socket, { address: socket.remoteAddress, port: socket.remotePort });
  }
  return emit.call(this, name, ...given);
};

export function setUnreachable(fresh) {
  rules = fresh;
  for (const [socket, peer] of [...sockets]) {
    if (isUnreachable(peer)) cut(socket, peer);
    else restore(socket);
  }
  for (const [handle, peer] of [...abandoned]) {
    if (isUnreachable(peer)) continue;
    abandoned.delete(handle);
    handle.close();
  }
}
