import { connect } from 'node:net';

export interface RawResponse {
  readonly status: number;
  readonly reason: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * Sends bytes as they are and reads until the server closes, or has said what a Content-Length promises. For all that
 * no HTTP client would send. `end`: close our side after the last byte.
 */
export function exchange(
  { host, port }: { readonly host: string; readonly port: number },
  bytes: readonly (string | Uint8Array)[],
  { end = false, method }: { readonly end?: boolean; readonly method?: string | undefined } = {},
): Promise<RawResponse | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const received: Buffer[] = [];
    const finish = () => {
      socket.destroy();
      resolve(parseResponse(Buffer.concat(received)));
    };
    socket.on('data', (piece) => {
      received.push(piece);
      if (isComplete(Buffer.concat(received), method)) finish();
    });
    socket.on('end', finish);
    socket.on('error', (error) => (received.length > 0 ? finish() : reject(error)));
    for (const piece of bytes) socket.write(piece);
    if (end) socket.end();
  });
}

function isComplete(bytes: Buffer, method: string | undefined): boolean {
  const response = parseResponse(bytes);
  if (response === undefined || response.status === 100) return false;
  if (method === 'HEAD' || response.status === 304) return true;
  const length = Number(response.headers['content-length'] ?? (response.status === 204 ? 0 : Number.NaN));
  return response.body.byteLength >= length;
}

export function parseResponse(bytes: Buffer): RawResponse | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const [, httpVersion = '', status = '', reason = ''] = /^HTTP\/(\S+) (\d{3}) ?(.*)$/.exec(statusLine) ?? [];
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return {
    status: Number(status),
    reason,
    httpVersion,
    headers: Object.fromEntries(headers),
    body: bytes.subarray(end + 4),
  };
}

export const BOUNDARY = 'the-boundary';

export interface FormPart {
  readonly field?: string;
  /** As it stands on the wire, between the quotes; undefined leaves `filename` out. */
  readonly filename?: string | undefined;
  readonly content: string | Uint8Array;
  readonly type?: string;
}

/** A multipart body, byte for byte. */
export function form(parts: readonly FormPart[]): Buffer {
  const pieces = parts.flatMap(({ field = 'files', filename, content, type }) => [
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${field}"` +
        `${filename === undefined ? '' : `; filename="${filename}"`}\r\n` +
        `${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n`,
    ),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

export function formHead(path: string, sizeBytes: number, more = ''): string {
  return (
    `POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\n` +
    `Content-Length: ${sizeBytes}\r\n${more}\r\n`
  );
}
