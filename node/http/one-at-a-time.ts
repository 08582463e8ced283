import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that wait for the answer to an earlier one. Raised: what one packet can make us hold. */
const MAX_WAITING = 32;

/** The requests of one connection. */
interface Line {
  isBusy: boolean;
  /** Too many were sent: the connection ends with the answer that says so. */
  isOver: boolean;
  readonly waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[];
}

/**
 * Handles the requests of each connection one after the other.
 *
 * Node hands over pipelined requests as fast as they are parsed and only keeps their answers in order. So one small
 * packet could start hundreds of costly requests at once, and a GET could overtake the PUT it was sent after
 * (RFC 9112, 9.3.2).
 */
export function oneAtATime(handle: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, Line>();
  const start = (line: Line, request: IncomingMessage, response: ServerResponse): void => {
    line.isBusy = true;
    // Taken now: a request that has been answered has no socket any more.
    const { socket } = request;
    response.once('close', () => {
      line.isBusy = false;
      // Nobody waits for the answers when the connection has gone.
      const next = socket.destroyed ? undefined : line.waiting.shift();
      if (next !== undefined) start(line, next.request, next.response);
    });
    handle(request, response);
  };
  return (request, response) => {
    const line = lines.get(request.socket) ?? { isBusy: false, isOver: false, waiting: [] };
    lines.set(request.socket, line);
    if (line.isOver) return;
    if (!line.isBusy) start(line, request, response);
    else if (line.waiting.length < MAX_WAITING) line.waiting.push({ request, response });
    else {
      line.isOver = true;
      response
        .writeHead(503, 'Too many requests at once', { Connection: 'close', 'Content-Length': 0 })
        .end();
    }
  };
}
