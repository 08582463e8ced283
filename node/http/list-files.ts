import type { Context } from 'koa';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files } from '../files/files.ts';
import type { TransferTurns, Turn } from '../files/transfer-turns.ts';
import { abortOnClose } from './abort-on-close.ts';
import { clientAddress } from './client-address.ts';
import { encodePath, escapeHtml, page, type Theme, themeMeta } from './html.ts';
import { sendPieces } from './send-pieces.ts';

export interface ListFilesDependencies {
  readonly files: Pick<Files, 'list'>;
  readonly pages: ListingPages;
  /** Each holds a listing and the page made of it. */
  readonly turns: TransferTurns;
}

/** What a client is given at once, so that it shows whether it keeps up. */
const PIECE_BYTES = 64 * 1024;

/** GET of `/`: every file of the ring, whichever node is asked; a page for browsers, JSON for programs. */
export async function listFiles(ctx: Context, { files, pages, turns }: ListFilesDependencies): Promise<void> {
  const leaving = abortOnClose(ctx);
  const turn = await turns.take({ caller: clientAddress(ctx), signal: leaving });
  const controller = new AbortController();
  const giveUp = (error: unknown) => controller.abort(error);
  const leave = () => giveUp(leaving.reason);
  leaving.addEventListener('abort', leave, { once: true });
  try {
    const records = await files.list({ signal: controller.signal });
    const isJson = ctx.accepts('html', 'json') === 'json';
    const page = isJson ? pages.json(records) : pages.html(records);
    ctx.set('Cache-Control', 'no-cache');
    ctx.set('Vary', 'Accept');
    if (!isJson) ctx.set('Content-Security-Policy', CONTENT_POLICY);
    ctx.status = 200;
    ctx.set('Content-Type', isJson ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8');
    if (ctx.method === 'HEAD') {
      ctx.body = Buffer.alloc(0);
      ctx.length = page.byteLength;
      return;
    }
    ctx.length = page.byteLength;
    ctx.respond = false;
    turn.waitForClient(giveUp);
    const [first = page, ...others] = slices(page);
    await sendPieces(ctx.res, { first, pieces: counted(first, others, turn), signal: controller.signal });
  } finally {
    leaving.removeEventListener('abort', leave);
    turn.end();
  }
}

const CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

function slices(page: Buffer): Buffer[] {
  const count = Math.ceil(page.byteLength / PIECE_BYTES);
  return Array.from({ length: count }, (_, i) => page.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES));
}

/** The rest of a page; each piece before it counts as moved when the next is asked for. */
async function* counted(first: Buffer, others: readonly Buffer[], turn: Turn): AsyncGenerator<Buffer> {
  turn.moved(first.byteLength);
  for (const piece of others) {
    yield piece;
    turn.moved(piece.byteLength);
  }
}

/** Pages by the listing they show: those who share a listing share its page. */
export class ListingPages {
  readonly #theme: Theme;
  readonly #html = new WeakMap<readonly FileRecord[], Buffer>();
  readonly #json = new WeakMap<readonly FileRecord[], Buffer>();

  constructor(theme: Theme) {
    this.#theme = theme;
  }

  html(records: readonly FileRecord[]): Buffer {
    return remembered(this.#html, records, () => listingPage(records, this.#theme));
  }

  json(records: readonly FileRecord[]): Buffer {
    return remembered(this.#json, records, () => JSON.stringify({ files: records.map(describe) }));
  }
}

function remembered(
  pages: WeakMap<readonly FileRecord[], Buffer>,
  records: readonly FileRecord[],
  render: () => string,
): Buffer {
  const page = pages.get(records) ?? Buffer.from(render());
  pages.set(records, page);
  return page;
}

/** One file as JSON clients see it. */
export function describe({ name, sizeBytes, sha256, contentType, modifiedMs }: FileRecord) {
  const modified = new Date(modifiedMs).toISOString();
  return { name, href: `/${encodePath(name)}`, sizeBytes, sha256, contentType, modified };
}

const STYLE = `<style>
li span { opacity: .65; font-size: smaller; margin-left: 1em; white-space: nowrap; }
</style>`;

function listingPage(records: readonly FileRecord[], theme: Theme): string {
  const sorted = records
    .map((record) => ({ record, order: record.name.toLowerCase() }))
    .sort((a, b) => (a.order < b.order ? -1 : Number(a.order > b.order)));
  const items = sorted.map(({ record: { name, sizeBytes, modifiedMs } }) => {
    const modified = new Date(modifiedMs).toISOString().slice(0, 19).replace('T', ' ');
    return `<li><a href="${encodePath(name)}">${escapeHtml(name)}</a><span>${formatSize(sizeBytes)}, ${modified}</span></li>`;
  });
  return page({
    title: 'Directory listing for /',
    head: `${themeMeta(theme)}\n${STYLE}`,
    body: `<h1>Directory listing for /</h1>
<hr>
<p><a href="/upload">File upload</a> (all files of the ring, whichever node you ask)</p>
<ul>
${items.join('\n')}
</ul>
<hr>`,
  });
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function formatSize(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
