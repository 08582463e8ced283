import type { Context } from 'koa';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files, OpenFile } from '../files/files.ts';
import { abortOnClose } from './abort-on-close.ts';
import { type ByteRange, parseRange } from './byte-range.ts';
import { evaluateConditions, isRangeCurrent } from './conditions.ts';
import { isPassive } from './content-type.ts';
import { fileNotFound, Refusal } from './refusal.ts';
import { sendPieces } from './send-pieces.ts';

/** GET and HEAD of a file: conditions, one range, and bytes that were verified before the first of them is sent. */
export async function getFile(ctx: Context, files: Pick<Files, 'open'>, name: string): Promise<void> {
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
  await sendBytes(ctx, { file, range: range ?? { start: 0, end: record.sizeBytes }, signal });
}

function describeFile(ctx: Context, { sha256, modifiedMs, contentType }: FileRecord): void {
  ctx.set('ETag', `"${sha256}"`);
  ctx.set('Last-Modified', new Date(modifiedMs).toUTCString());
  ctx.set('Accept-Ranges', 'bytes');
  // Names are replaced in place: a cache may keep the bytes, but has to ask whether they are still the file's.
  ctx.set('Cache-Control', 'no-cache');
  if (!isPassive(contentType)) ctx.set('Content-Security-Policy', 'sandbox');
}

async function sendBytes(
  ctx: Context,
  {
    file,
    range,
    signal,
  }: { readonly file: OpenFile; readonly range: ByteRange; readonly signal: AbortSignal },
): Promise<void> {
  const sizeBytes = range.end - range.start;
  if (ctx.method === 'HEAD' || sizeBytes === 0) {
    ctx.body = Buffer.alloc(0);
    ctx.length = sizeBytes;
    return;
  }
  // The first bytes are waited for before the head is sent, so that a failure still gets a status of its own.
  const pieces = file.read(range, signal, { reusesMemory: true })[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done === true) throw new Refusal(500, { reason: 'No content', advice: 'Try again.' });
  if (first.value.byteLength === sizeBytes) {
    ctx.body = Buffer.from(first.value.buffer, first.value.byteOffset, first.value.byteLength);
    return;
  }
  ctx.length = sizeBytes;
  // From here on the head is out: only an end before the announced length can tell the client of a failure.
  ctx.respond = false;
  await sendPieces(ctx.res, { first: first.value, pieces, signal });
}
