import type { Context } from 'koa';
import type { Files } from '../files/files.ts';
import { abortOnClose } from './abort-on-close.ts';
import { parseTags } from './conditions.ts';
import { fileNotFound } from './refusal.ts';

/** DELETE of a file. RFC 9110, 9.3.5. */
export async function deleteFile(ctx: Context, files: Pick<Files, 'delete'>, name: string): Promise<void> {
  const ifMatch = parseTags(ctx.headers['if-match'], { weak: 'ignore' });
  if (!(await files.delete(name, { ifMatch, signal: abortOnClose(ctx) }))) throw fileNotFound();
  ctx.status = 204;
}
