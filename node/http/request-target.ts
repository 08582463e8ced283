export interface RequestTarget {
  /** As it was sent, percent-encoded, beginning with `/`. */
  readonly pathname: string;
  readonly hasQuery: boolean;
}

/** Splits a request target; takes the absolute form that proxies send as well. */
export function parseTarget(url: string): RequestTarget {
  const path = url.startsWith('/') ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const end = path.search(/[?#]/);
  const pathname = end === -1 ? path : path.slice(0, end);
  return {
    pathname: pathname.startsWith('/') ? pathname : `/${pathname}`,
    hasQuery: end !== -1 && path[end] === '?',
  };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes %XX once. What is no valid escape stays as it is, as in uploadserver, so `100%.txt` can be asked for
 * as it is written; undefined when the bytes are no UTF-8.
 */
export function decodeComponent(encoded: string): string | undefined {
  if (!encoded.includes('%')) return isAscii(encoded) ? encoded : decodeRaw(Buffer.from(encoded, 'latin1'));
  const bytes = Buffer.from(encoded, 'latin1');
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const escaped = bytes[i] === 0x25 ? hexByte(encoded, i + 1) : undefined;
    bytes[length++] = escaped ?? bytes[i] ?? 0;
    if (escaped !== undefined) i += 2;
  }
  return decodeRaw(bytes.subarray(0, length));
}

function hexByte(text: string, at: number): number | undefined {
  const digits = text.slice(at, at + 2);
  return /^[0-9a-fA-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Node hands over a request line's bytes as latin1. */
function decodeRaw(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The name a path asks for; undefined when no file can have it. */
export function nameOf({ pathname }: RequestTarget): string | undefined {
  const name = decodeComponent(pathname.slice(1));
  return name === undefined || name === '' || name.includes('/') || name.includes('\0') ? undefined : name;
}

/** What follows the last slash, as uploadserver keeps it: a client's folders mean nothing here. */
export function lastComponent(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
