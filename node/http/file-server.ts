import Koa, { type Context, type Middleware } from 'koa';
import type { Files, OnConflict } from '../files/files.ts';
import { type TransferLimits, TransferTurns } from '../files/transfer-turns.ts';
import { abortOnClose } from './abort-on-close.ts';
import { accessLog } from './access-log.ts';
import { type AuthOptions, basicAuth } from './basic-auth.ts';
import { deleteFile } from './delete-file.ts';
import { errorResponse } from './error-response.ts';
import { getFile } from './get-file.ts';
import type { Theme } from './html.ts';
import { lingeringClose } from './lingering-close.ts';
import { ListingPages, listFiles } from './list-files.ts';
import { OWN_PREFIX, PEER_PREFIX } from './open-paths.ts';
import { putFile } from './put-file.ts';
import { fileNotFound, Refusal } from './refusal.ts';
import { decodeComponent, nameOf, parseTarget, type RequestTarget } from './request-target.ts';
import { answerProbe, type StatusReport, showStatus } from './status-routes.ts';
import { uploadFiles } from './upload-files.ts';
import { uploadPage } from './upload-page.ts';

export interface FileServerOptions extends AuthOptions {
  /** What an upload of an existing name does. */
  readonly onConflict: OnConflict;
  readonly theme: Theme;
  /** Access log, one line at a time. */
  readonly log: (line: string) => void;
  /** Told of every error that is a defect rather than an answer. */
  readonly onBug: (error: unknown) => void;
}

export interface FileServerDependencies {
  readonly files: Files;
  readonly options?: Partial<FileServerOptions>;
  readonly status: () => StatusReport;
  /** Takes the requests of other members, under `/_chordfs/peer/`, with its own authentication. */
  readonly peerRouter?: Middleware;
}

const RECEIPT_PREFIX = `${OWN_PREFIX}receipt/`;
const PACE = { patienceMs: 20_000, leastBytes: 128 * 1024, windowMs: 6_000 };
/** Each turn holds every record of the ring and a page of them. */
const LISTING_LIMITS: TransferLimits = {
  ...PACE,
  leastBytes: 1024 * 1024,
  atOnce: 4,
  perCaller: 3,
  waiting: 1_000,
};
/** Each turn holds up to 256 KiB, and so may whoever waits for one. */
const SMALL_FILE_LIMITS: TransferLimits = { ...PACE, atOnce: 128, perCaller: 96, waiting: 64 };
const DEFAULTS: FileServerOptions = {
  onConflict: 'replace',
  theme: 'auto',
  log: () => undefined,
  onBug: () => undefined,
};

/** The HTTP surface of a node: what uploadserver does, and more. `listen.ts` puts it on sockets. */
export function createFileServer({ files, options, status, peerRouter }: FileServerDependencies): Koa {
  const settings = { ...DEFAULTS, ...options };
  const app = new Koa();
  // Everything expected is answered by `errorResponse`; what still gets here is a socket that broke under a response.
  app.silent = true;
  const routes = new Routes({ files, settings, status });
  if (peerRouter !== undefined) {
    app.use((ctx, next) => (ctx.url.startsWith(PEER_PREFIX) ? peerRouter(ctx, next) : next()));
  }
  if (options?.log !== undefined) app.use(accessLog(settings.log));
  app.use(lingeringClose());
  app.use(errorResponse(settings.onBug));
  app.use(async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff');
    if (!answerProbe(ctx, parseTarget(ctx.url).pathname, status)) await next();
  });
  app.use(basicAuth(settings));
  app.use((ctx) => routes.dispatch(ctx));
  return app;
}

class Routes {
  readonly #files: Files;
  readonly #settings: FileServerOptions;
  readonly #status: () => StatusReport;
  readonly #upload: (ctx: Context) => Promise<void>;
  readonly #pages: ListingPages;
  readonly #listings = new TransferTurns(LISTING_LIMITS);
  readonly #smallFiles = new TransferTurns(SMALL_FILE_LIMITS);

  constructor({
    files,
    settings,
    status,
  }: {
    readonly files: Files;
    readonly settings: FileServerOptions;
    readonly status: () => StatusReport;
  }) {
    this.#files = files;
    this.#settings = settings;
    this.#status = status;
    this.#pages = new ListingPages(settings.theme);
    this.#upload = uploadFiles({ files, onConflict: settings.onConflict, log: settings.log });
  }

  async dispatch(ctx: Context): Promise<void> {
    const target = parseTarget(ctx.url);
    switch (ctx.method) {
      case 'GET':
      case 'HEAD':
        return await this.#read(ctx, target);
      case 'POST':
      case 'PUT':
        return await this.#write(ctx, target);
      case 'DELETE':
        return await deleteFile(ctx, this.#files, existingName(target));
      case 'OPTIONS':
        ctx.set('Allow', 'GET, HEAD, POST, PUT, DELETE, OPTIONS');
        ctx.status = 204;
        return;
      default:
        throw new Refusal(501, {
          reason: `Unsupported method ('${ctx.method}')`,
          advice: 'Files are read with GET, stored with POST /upload or PUT, and removed with DELETE.',
        });
    }
  }

  async #read(ctx: Context, target: RequestTarget): Promise<void> {
    const { pathname, hasQuery } = target;
    if (pathname === '/') {
      return await listFiles(ctx, { files: this.#files, pages: this.#pages, turns: this.#listings });
    }
    if (pathname === '/upload' && !hasQuery) return uploadPage(ctx, this.#settings.theme);
    if (pathname === '/upload') throw fileNotFound();
    if (pathname === `${OWN_PREFIX}status`) return showStatus(ctx, this.#status);
    if (pathname.startsWith(RECEIPT_PREFIX)) return await this.#receipt(ctx, pathname);
    await getFile(ctx, { files: this.#files, turns: this.#smallFiles }, existingName(target));
  }

  async #write(ctx: Context, target: RequestTarget): Promise<void> {
    if (target.pathname === '/upload' && !target.hasQuery) return await this.#upload(ctx);
    if (ctx.method === 'POST' || target.pathname === '/upload') {
      throw new Refusal(404, {
        reason: 'Can only POST/PUT to /upload',
        advice: 'Send forms to /upload exactly, or PUT a single file to its own name.',
      });
    }
    const { onConflict } = this.#settings;
    await putFile(ctx, { files: this.#files, onConflict }, newName(target));
  }

  async #receipt(ctx: Context, pathname: string): Promise<void> {
    const name = decodeComponent(pathname.slice(RECEIPT_PREFIX.length));
    const receipt =
      name === undefined ? undefined : await this.#files.receipt(name, { signal: abortOnClose(ctx) });
    if (receipt === undefined) throw fileNotFound();
    ctx.set('Cache-Control', 'no-store');
    ctx.body = receipt;
  }
}

/** A path that no file can have is simply not found. */
function existingName(target: RequestTarget): string {
  const name = nameOf(target);
  if (name === undefined) throw fileNotFound();
  return name;
}

function newName(target: RequestTarget): string {
  const name = nameOf(target);
  if (name !== undefined && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255) return name;
  throw new Refusal(400, {
    reason: 'Invalid file name',
    advice: 'A name is 1 to 255 bytes of UTF-8, without a slash, and neither "." nor "..".',
  });
}
