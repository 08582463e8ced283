import { pipeline } from 'node:stream/promises';
import multer from '@koa/multer';
import type { Context } from 'koa';
import { MulterError } from 'multer';
import { ChordfsError } from '../../domain/errors.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files, OnConflict } from '../files/files.ts';
import { abortOnClose } from './abort-on-close.ts';
import { clientAddress } from './client-address.ts';
import { encodePath } from './html.ts';
import { describe } from './list-files.ts';
import { Refusal } from './refusal.ts';
import { StagingEngine, type UploadClient } from './staging-engine.ts';
import { UploadBody } from './upload-body.ts';

/** Of one form. Beyond them a form is refused; browsers and scripts send far fewer. */
const LIMITS = {
  /** A file is as large as it is. */
  fileSize: Number.POSITIVE_INFINITY,
  files: 10_000,
  fields: 100,
  parts: 10_100,
  fieldNameSize: 200,
  /** Fields other than `files` mean nothing here, and are held in memory while the form lasts. */
  fieldSize: 64 * 1024,
  headerPairs: 100,
} as const;

const NO_FIELD = {
  reason: 'Field "files" not found',
  advice: 'Send the files in the multipart field "files".',
};
const NONE_SELECTED = {
  reason: 'No files selected',
  advice: 'Every part of the field "files" needs a file name.',
};

/** Multer has them; its types for Koa are of an earlier version. */
interface MulterNewerOptions {
  readonly defParamCharset: string;
  readonly preservePath: boolean;
}

export interface UploadDependencies {
  readonly files: Pick<Files, 'stage'>;
  readonly onConflict: OnConflict;
  /** uploadserver's extra line for each stored file. */
  readonly log: (line: string) => void;
}

/**
 * POST and PUT of `/upload`, as uploadserver's clients send it: a multipart form with files in the field `files`.
 * Each part streams to its replicas; only when the form has arrived whole are they committed, in its order.
 */
export function uploadFiles({ files, onConflict, log }: UploadDependencies): (ctx: Context) => Promise<void> {
  const clients = new WeakMap<object, UploadClient>();
  const options: multer.Options & MulterNewerOptions = {
    storage: new StagingEngine(files, clients),
    limits: LIMITS,
    // Names are UTF-8, and their folders are cut off by our rule, not by that of the machine we run on.
    defParamCharset: 'utf8',
    preservePath: true,
    fileFilter: (_request, { fieldname }, accept) => accept(null, fieldname === 'files'),
  };
  const parse = multer(options).any();

  return async (ctx) => {
    if (ctx.is('multipart/form-data') !== 'multipart/form-data') await refuseOtherBody(ctx);
    const signal = abortOnClose(ctx);
    const body = new UploadBody(ctx.req);
    clients.set(body, { caller: clientAddress(ctx), signal });
    try {
      await receive(ctx, parse, body);
      checkForm(ctx, body);
      const records = await commitAll(body, onConflict, signal);
      for (const { name } of records) log(`[Uploaded] ${JSON.stringify(name)} --> /${encodePath(name)}`);
      const { parts } = body;
      respond(ctx, records, { isRenamed: records.some(({ name }, i) => name !== parts[i]?.name) });
    } finally {
      for (const { staged } of body.parts) await staged.abort();
    }
  };
}

/** Lets the parser read `body` in the place of the request, and waits until the whole form is staged. */
async function receive(ctx: Context, parse: ReturnType<ReturnType<typeof multer>['any']>, body: UploadBody) {
  // Its failures reach the parser, which reads from `body`, and come back from there.
  const feeding = pipeline(ctx.req, body).catch(() => undefined);
  const parsing: Context = Object.create(ctx, { req: { value: body } });
  try {
    await parse(parsing, async () => undefined);
  } catch (error) {
    body.destroy();
    throw translate(error);
  }
  await feeding;
  if (!ctx.req.complete) throw new ChordfsError('TRUNCATED_UPLOAD');
}

function translate(error: unknown): unknown {
  if (error instanceof ChordfsError || error instanceof Refusal) return error;
  if (error instanceof MulterError) {
    return new Refusal(400, {
      reason: `Form refused: ${error.message}`,
      advice: 'Send fewer or shorter form fields.',
    });
  }
  if (!(error instanceof Error)) return error;
  if (
    /^Unexpected end of (form|file)|^Request (aborted|closed|error)|^aborted|Premature close/.test(
      error.message,
    )
  ) {
    return new ChordfsError('TRUNCATED_UPLOAD', {}, { cause: error });
  }
  if (/^(Malformed|Multipart|Unsupported content|Missing Content-Type)/i.test(error.message)) {
    return new Refusal(400, {
      reason: `Malformed form: ${error.message}`,
      advice: 'The body must be multipart/form-data with the boundary that its Content-Type names.',
    });
  }
  return error;
}

function checkForm(ctx: Context, { parts, hasNamelessFile }: UploadBody): void {
  const fields: unknown = Reflect.get(ctx.request, 'body');
  const hasTextField = typeof fields === 'object' && fields !== null && 'files' in fields;
  if (hasNamelessFile || hasTextField || parts.some(({ name }) => name === '')) {
    throw new Refusal(400, NONE_SELECTED);
  }
  if (parts.length === 0) throw new Refusal(400, NO_FIELD);
}

/** uploadserver looks into urlencoded forms as well, and finds that nothing in them is a file. */
async function refuseOtherBody(ctx: Context): Promise<never> {
  if (ctx.is('urlencoded') === 'urlencoded') {
    let text = '';
    for await (const piece of ctx.req.iterator({ destroyOnReturn: false })) {
      text += piece.toString('latin1');
      if (text.length > LIMITS.fieldSize) break;
    }
    if (new URLSearchParams(text).has('files')) throw new Refusal(400, NONE_SELECTED);
  }
  throw new Refusal(400, NO_FIELD);
}

async function commitAll(
  { parts }: UploadBody,
  onConflict: OnConflict,
  signal: AbortSignal,
): Promise<FileRecord[]> {
  const records: FileRecord[] = [];
  for (const { staged } of parts) records.push(await staged.commit({ onConflict, signal }));
  return records;
}

function respond(
  ctx: Context,
  records: readonly FileRecord[],
  { isRenamed }: { readonly isRenamed: boolean },
): void {
  const [only, ...others] = records;
  if (only !== undefined && others.length === 0) {
    ctx.set('Location', `/${encodePath(only.name)}`);
    ctx.set('ETag', `"${only.sha256}"`);
  }
  if (ctx.accepts('text', 'html', 'json') === 'json') ctx.body = { files: records.map(describe) };
  else ctx.status = 204;
  ctx.message = isRenamed ? 'Some filename(s) changed due to name conflict' : 'Files accepted';
}
