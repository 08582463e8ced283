import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { Refusal } from './refusal.ts';
import { parseTarget } from './request-target.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface AuthOptions {
  /** Guards everything. */
  readonly basicAuth?: Credentials | undefined;
  /** Guards changes alone: uploads, deletes and the upload page. With both, either reads and only this one changes. */
  readonly basicAuthUpload?: Credentials | undefined;
}

/** `user:password`; the password may hold further colons. */
export function parseCredentials(text: string): Credentials | undefined {
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="chordfs", charset="UTF-8"' };

function unauthorized(reason: string, advice: string): Refusal {
  return new Refusal(401, { reason, advice, headers: CHALLENGE });
}

/** Hashing first makes both sides equally long, so that neither length nor content shows in the time taken. */
function equals(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** @throws Refusal 401 for anything but well-formed Basic credentials. */
function presentedCredentials(header: string | undefined): Credentials {
  if (header === undefined) {
    throw unauthorized('No credentials given', 'Log in with a user name and a password.');
  }
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header) ?? [];
  const credentials =
    encoded === undefined ? undefined : parseCredentials(Buffer.from(encoded, 'base64').toString('utf8'));
  if (credentials === undefined) {
    throw unauthorized(
      'Credentials incorrectly formatted',
      'Send "Authorization: Basic" and the base64 form of user:password.',
    );
  }
  return credentials;
}

/** @throws Refusal 401 unless the header names one of the accepted users with its password. */
function checkCredentials(header: string | undefined, accepted: readonly Credentials[]): void {
  const { user, password } = presentedCredentials(header);
  // Every accepted pair is compared, so that the time taken does not tell which one exists.
  const known = accepted.map((each) => ({
    hasUser: equals(user, each.user),
    hasPassword: equals(password, each.password),
  }));
  if (known.some(({ hasUser, hasPassword }) => hasUser && hasPassword)) return;
  const reason = known.some(({ hasUser }) => hasUser) ? 'Bad password' : 'Bad username';
  throw unauthorized(reason, 'The user name or the password is wrong.');
}

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a request changes something, or shows the page made for it. */
function isUpload(method: string, url: string): boolean {
  return !READING.has(method) || parseTarget(url).pathname === '/upload';
}

/** @throws Refusal 401 */
export function authorize(
  request: { readonly method: string; readonly url: string; readonly authorization: string | undefined },
  { basicAuth, basicAuthUpload }: AuthOptions,
): void {
  const uploaders = basicAuthUpload ?? basicAuth;
  if (isUpload(request.method, request.url)) {
    if (uploaders !== undefined) checkCredentials(request.authorization, [uploaders]);
    return;
  }
  if (basicAuth === undefined) return;
  const readers = basicAuthUpload === undefined ? [basicAuth] : [basicAuth, basicAuthUpload];
  checkCredentials(request.authorization, readers);
}

/** For `listen`: whether a client that asks before it sends its body would get past `basicAuth`. */
export function acceptsHead(options: AuthOptions): (request: IncomingMessage) => boolean {
  return ({ method = 'GET', url = '/', headers }) => {
    try {
      authorize({ method, url, authorization: headers.authorization }, options);
      return true;
    } catch {
      return false;
    }
  };
}

/** Refuses before anything of the body is read. */
export function basicAuth(options: AuthOptions): Middleware {
  const isGuarded = options.basicAuth !== undefined || options.basicAuthUpload !== undefined;
  return (ctx, next) => {
    if (!isGuarded) return next();
    authorize({ method: ctx.method, url: ctx.url, authorization: ctx.headers.authorization }, options);
    // A browser sends stored credentials along with whatever a foreign page makes it send.
    if (!READING.has(ctx.method) && ctx.headers['sec-fetch-site'] === 'cross-site') {
      throw new Refusal(403, {
        reason: 'Cross-site request refused',
        advice: 'Open this server itself in the browser and upload from there.',
      });
    }
    return next();
  };
}
