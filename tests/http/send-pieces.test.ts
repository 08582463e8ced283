import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { sendPieces } from '../../node/http/send-pieces.ts';

const PIECE_BYTES = 4 * 1024 * 1024;
const PIECES = 8;
const HEAD_END = '\r\n\r\n';

/** Pieces in three buffers taken in turn: a piece is gone once the next but one has been asked for. */
class LentPieces implements AsyncIterator<Uint8Array> {
  readonly #buffers = [0, 1, 2].map(() => Buffer.alloc(PIECE_BYTES));
  #turn = 0;
  isReturned = false;

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#turn === PIECES) return { done: true, value: undefined };
    const turn = this.#turn++;
    // As a reader does that fetches one ahead: the memory of the next piece is written to now.
    this.#buffers[(turn + 1) % 3]?.fill(turn + 1);
    return { value: this.#buffers[turn % 3]?.fill(turn) ?? Buffer.alloc(0) };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.isReturned = true;
    return { done: true, value: undefined };
  }
}

describe('sending a file in pieces', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  async function serve() {
    const pieces = new LentPieces();
    const controller = new AbortController();
    let outcome: unknown = 'under way';
    const server = createServer(async (_, response) => {
      response.once('close', () => response.writableFinished || controller.abort(new Error('client left')));
      response.setHeader('Content-Length', PIECES * PIECE_BYTES);
      const first = await pieces.next();
      outcome = await sendPieces(response, { first: first.value, pieces, signal: controller.signal }).then(
        () => 'sent',
        (error: unknown) => error,
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.23.0.7', resolve));
    closing.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: '127.23.0.7', port });
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close${HEAD_END}`);
    return { pieces, socket, outcome: () => outcome };
  }

  test('no piece is overwritten before it has left, however slowly the client reads', async () => {
    const { socket, outcome, pieces } = await serve();

    const received: Buffer[] = [];
    for await (const piece of socket) {
      received.push(piece);
      // Lets the server get as far ahead as it can.
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    }

    const bytes = Buffer.concat(received);
    const body = bytes.subarray(bytes.indexOf(HEAD_END) + HEAD_END.length);
    expect(body.byteLength).toBe(PIECES * PIECE_BYTES);
    for (let i = 0; i < PIECES; i++) {
      const piece = body.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
      expect(piece.every((byte) => byte === i)).toBe(true);
    }
    expect(outcome()).toBe('sent');
    expect(pieces.isReturned).toBe(true);
  });

  test('a client that goes away in the middle ends it, and what was read ahead is given up', async () => {
    const { socket, outcome, pieces } = await serve();
    await new Promise((resolve) => socket.once('data', resolve));

    socket.resetAndDestroy();

    await expect.poll(outcome).toBeInstanceOf(Error);
    expect(pieces.isReturned).toBe(true);
  });
});
