import type { Context } from 'koa';
import type { Files, OnConflict } from '../files/files.ts';
import { abortOnClose } from './abort-on-close.ts';
import { clientAddress } from './client-address.ts';
import { parseTags } from './conditions.ts';
import { contentTypeOf } from './content-type.ts';
import { encodePath } from './html.ts';
import { Refusal } from './refusal.ts';
import { wholeBody } from './whole-body.ts';

/** PUT of a file: the body is the file. RFC 9110, 9.3.4: 201 when it is new, 204 when it replaced something. */
export async function putFile(
  ctx: Context,
  { files, onConflict }: { readonly files: Pick<Files, 'open' | 'stage'>; readonly onConflict: OnConflict },
  name: string,
): Promise<void> {
  // RFC 9110, 14.5: who does not know partial PUT must say so, or the part would become the whole file.
  if (ctx.headers['content-range'] !== undefined) {
    throw new Refusal(400, {
      reason: 'Partial PUT is not supported',
      advice: 'Send the whole file, without Content-Range.',
    });
  }
  const signal = abortOnClose(ctx);
  const contentType = contentTypeOf(name, ctx.headers['content-type']);
  const staged = await files.stage(name, wholeBody(ctx.req), {
    ...{ contentType, signal },
    caller: clientAddress(ctx),
  });
  // Only decides between two success codes, so a ring that cannot say right now must not fail the upload.
  const existing = await files.open(name, { signal }).catch(() => undefined);
  try {
    const record = await staged.commit({
      onConflict,
      ifMatch: parseTags(ctx.headers['if-match'], { weak: 'ignore' }),
      ifNoneMatch: parseTags(ctx.headers['if-none-match'], { weak: 'ignore' }),
      signal,
    });
    ctx.status = existing === undefined || record.name !== name ? 201 : 204;
    if (ctx.status === 201) ctx.body = '';
    ctx.set('Location', `/${encodePath(record.name)}`);
    ctx.set('ETag', `"${record.sha256}"`);
  } finally {
    await staged.abort();
  }
}
