import type { Context } from 'koa';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files, OpenFile } from '../files/files.ts';
import type { TransferTurns } from '../files/transfer-turns.ts';
import { abortOnClose } from './abort-on-close.ts';
import { type ByteRange, parseRange } from './byte-range.ts';
import { clientAddress } from './client-address.ts';
import { evaluateConditions, isRangeCurrent } from './conditions.ts';
import { isPassive } from './content-type.ts';
import { fileNotFound, Refusal } from './refusal.ts';
import { sendPieces } from './send-pieces.ts';

export interface GetFileDependencies {
  readonly files: Pick<Files, 'open'>;
  /** For content that is sent in one piece. */
  readonly turns: TransferTurns;
}

/** Below this the content costs less than the connection that it waits in. */
const TINY_BYTES = 16 * 1024;
/** Content up to this size may come in one piece, in memory that no turn of the reader's stands for. */
const SMALL_BYTES = 256 * 1024;

/** GET and HEAD of a file: conditions, one range, and bytes that were verified before the first of them is sent. */
export async function getFile(
  ctx: Context,
  { files, turns }: GetFileDependencies,
  name: string,
): Promise<void> {
  const signal = abortOnClose(ctx);
  const file = await files.open(name, { signal });
  if (file === undefined) throw fileNotFound();
  const { record } = file;
  describeFile(ctx, record);
  const validators = { etag: record.sha256, modifiedMs: record.modifiedMs };
  const verdict = evaluateConditions(ctx.headers, validators);
  if (verdict === 'failed')
    throw new Refusal(412, { reason: 'Precondition failed', advice: 'The file has changed.' });
  if (verdict === 'not-modified') {
    ctx.status = 304;
    return;
  }
  const isWhole = ctx.headers.range === undefined || !isRangeCurrent(ctx.headers, validators);
  const range = isWhole ? undefined : parseRange(ctx.headers.range, record.sizeBytes);
  if (range === 'unsatisfiable') {
    throw new Refusal(416, {
      reason: 'Requested Range Not Satisfiable',
      advice: `The file has ${record.sizeBytes} bytes.`,
      headers: { 'Content-Range': `bytes */${record.sizeBytes}` },
    });
  }
  ctx.status = range === undefined ? 200 : 206;
  ctx.set('Content-Type', record.contentType === '' ? 'application/octet-stream' : record.contentType);
  if (range !== undefined) {
    ctx.set('Content-Range', `bytes ${range.start}-${range.end - 1}/${record.sizeBytes}`);
  }
  await sendBytes(ctx, { file, range: range ?? { start: 0, end: record.sizeBytes }, signal, turns });
}

function describeFile(ctx: Context, { sha256, modifiedMs, contentType }: FileRecord): void {
  ctx.set('ETag', `"${sha256}"`);
  ctx.set('Last-Modified', new Date(modifiedMs).toUTCString());
  ctx.set('Accept-Ranges', 'bytes');
  // Names are replaced in place: a cache may keep the bytes, but has to ask whether they are still the file's.
  ctx.set('Cache-Control', 'no-cache');
  if (!isPassive(contentType)) ctx.set('Content-Security-Policy', 'sandbox');
}

interface Sending {
  readonly file: OpenFile;
  readonly range: ByteRange;
  readonly signal: AbortSignal;
  readonly turns: TransferTurns;
}

async function sendBytes(ctx: Context, { file, range, signal, turns }: Sending): Promise<void> {
  const sizeBytes = range.end - range.start;
  if (ctx.method === 'HEAD' || sizeBytes === 0) {
    ctx.body = Buffer.alloc(0);
    ctx.length = sizeBytes;
    return;
  }
  const caller = clientAddress(ctx);
  if (file.record.sizeBytes > TINY_BYTES && file.record.sizeBytes <= SMALL_BYTES) {
    const turn = await turns.take({ caller, signal });
    ctx.res.once('close', () => turn.end());
    turn.waitForClient(() => ctx.res.destroy());
  }
  const controller = new AbortController();
  const giveUp = (error: unknown) => controller.abort(error);
  const leave = () => giveUp(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    const reader = { caller, onTooSlow: giveUp, reusesMemory: true };
    // The first bytes are waited for before the head is sent, so that a failure still gets a status of its own.
    const pieces = file.read(range, controller.signal, reader)[Symbol.asyncIterator]();
    const first = await pieces.next();
    if (first.done === true) throw new Refusal(500, { reason: 'No content', advice: 'Try again.' });
    if (first.value.byteLength === sizeBytes && sizeBytes <= TINY_BYTES) {
      // A copy: the piece may be a view into a whole chunk, which is given back now.
      ctx.body = Buffer.from(first.value);
      await pieces.return?.();
      return;
    }
    ctx.length = sizeBytes;
    // From here on the head is out: only an end before the announced length can tell the client of a failure.
    ctx.respond = false;
    await sendPieces(ctx.res, { first: first.value, pieces, signal: controller.signal });
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
