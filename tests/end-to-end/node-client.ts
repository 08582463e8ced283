import { connect } from 'node:net';
import { decode, encode } from '@msgpack/msgpack';
import { contentOf, type SampleFile, sha256 } from './sample-files.ts';

const REQUEST_TIMEOUT_MS = 60_000;

/** POSTs one file as the multipart field `files`, quoted as curl does it; resolves to the status code. */
export async function upload(ip: string, name: string, content: Uint8Array): Promise<number> {
  const boundary = 'end-to-end-9b1f';
  const quoted = name.replace(/["\\]/g, '\\$&');
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="${quoted}"\r\n\r\n`;
  const response = await fetch(`http://${ip}:5058/upload`, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), content, Buffer.from(`\r\n--${boundary}--\r\n`)]),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  await response.arrayBuffer();
  return response.status;
}

/** @throws Error unless the node accepted the file. */
export async function uploadSample(ip: string, file: SampleFile): Promise<void> {
  const status = await upload(ip, file.name, contentOf(file));
  if (status !== 204)
    throw new Error(`${ip} answered ${status} to the upload of ${JSON.stringify(file.name)}`);
}

export async function download(ip: string, name: string): Promise<{ status: number; body: Buffer }> {
  const response = await fetch(`http://${ip}:5058/${encodeURIComponent(name)}`, {
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

/** What is wrong with this file as served by this node; undefined when every byte is right. */
export async function faultOf(ip: string, file: SampleFile): Promise<string | undefined> {
  const label = `${JSON.stringify(file.name)} (${file.sizeBytes} B) through ${ip}`;
  try {
    const { status, body } = await download(ip, file.name);
    if (status !== 200) return `${label}: status ${status} ${body.subarray(0, 100)}`;
    return sha256(body) === sha256(contentOf(file)) ? undefined : `${label}: other bytes (${body.length})`;
  } catch (error) {
    return `${label}: ${String(error)} ${String((error as Error).cause ?? '')}`;
  }
}

/** All faults of all files, each asked of every node. */
export async function faultsOf(ips: readonly string[], files: readonly SampleFile[]): Promise<string[]> {
  const faults: (string | undefined)[] = [];
  for (const ip of ips) for (const file of files) faults.push(await faultOf(ip, file));
  return faults.filter((fault) => fault !== undefined);
}

/** One MessagePack-RPC call on a connection of its own, as an unauthenticated client makes it. */
export function call(ip: string, method: string, ...params: unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(5057, ip);
    const chunks: Buffer[] = [];
    const finish = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(10_000, () => finish(() => reject(new Error(`${ip} did not answer ${method}`))));
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('close', () => reject(new Error(`${ip} closed the connection at ${method}`)));
    socket.on('connect', () => socket.write(encode([0, 1, method, params])));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const answer = decodeWhole(Buffer.concat(chunks));
      if (answer === undefined) return;
      const [, , error, result] = answer;
      finish(() => (error === null ? resolve(result) : reject(new Error(String(error)))));
    });
  });
}

function decodeWhole(bytes: Buffer): readonly unknown[] | undefined {
  try {
    return decode(bytes) as readonly unknown[];
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The address that `find_successor` names, asked through this node. */
export async function ownerOf(ip: string, key: number): Promise<string> {
  const [ownerIp] = (await call(ip, 'find_successor', key)) as [string, number, number];
  return ownerIp;
}
