import type { Context } from 'koa';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files } from '../files/files.ts';
import { abortOnClose } from './abort-on-close.ts';
import { encodePath, escapeHtml, page, type Theme, themeMeta } from './html.ts';

/** GET of `/`: every file of the ring, whichever node is asked; a page for browsers, JSON for programs. */
export async function listFiles(
  ctx: Context,
  { files, theme }: { readonly files: Pick<Files, 'list'>; readonly theme: Theme },
): Promise<void> {
  const records = await files.list({ signal: abortOnClose(ctx) });
  ctx.set('Cache-Control', 'no-cache');
  ctx.set('Vary', 'Accept');
  if (ctx.accepts('html', 'json') === 'json') {
    ctx.body = { files: records.map(describe) };
    return;
  }
  ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  ctx.body = listingPage(records, theme);
  ctx.set('Content-Type', 'text/html; charset=utf-8');
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
