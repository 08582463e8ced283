import { lookup } from 'mime-types';

const DEFAULT_TYPE = 'application/octet-stream';
/** What generic clients send without meaning it. */
const MEANINGLESS = new Set(['', DEFAULT_TYPE, 'application/x-www-form-urlencoded', 'multipart/form-data']);
/** Longer than any that means something; what is stored with a record is bounded where it comes in. */
const MAX_LENGTH = 255;
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(\s*;\s*[\w-]{1,40}=[\w.:+-]{1,80})*$/;

/** By the name's extension, as uploadserver does; else what the client declared, when that says something. */
export function contentTypeOf(name: string, declared: string | undefined): string {
  // `lookup` of a bare word would take the word itself for an extension.
  const byName = name.lastIndexOf('.') > 0 ? lookup(name.slice(name.lastIndexOf('.'))) : false;
  if (byName !== false) return byName;
  const type = declared?.trim() ?? '';
  const essence = (type.split(';')[0] ?? '').trim().toLowerCase();
  const isUsable = type.length <= MAX_LENGTH && MEDIA_TYPE.test(type) && !MEANINGLESS.has(essence);
  return isUsable ? type : DEFAULT_TYPE;
}

const PASSIVE =
  /^(?:image\/(?!svg)|video\/|audio\/|font\/|text\/(?:plain|csv)(?:;|$)|application\/(?:pdf|json|octet-stream|gzip|zip)(?:;|$))/i;

/**
 * A stored file must never act as a page of this server: it would do so with the rights of whoever looks at it. All
 * types are shown as what they are and nothing else (`nosniff`); those that could carry script are shown without it
 * and in an origin of their own. PDF and media stay out of the sandbox, where browsers refuse to show them.
 */
export function isPassive(contentType: string): boolean {
  return PASSIVE.test(contentType);
}
