import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * One node's file server beside Python's uploadserver, in the same run on the same machine: upload and download of
 * 256 MiB, and small reads. Ours flushes every upload to the disk before it answers; uploadserver never flushes.
 *
 * Usage: `npm run bench:http -- [MiB]`. Installs uploadserver into `.venv` of the project when it is not there.
 */
const SIZE_BYTES = Number(process.argv[2] ?? '256') * 1024 * 1024;
const RUNS = 5;
const CONNECTIONS = 16;
const LOAD_MS = 4_000;
const PIECE_BYTES = 256 * 1024;
const BOUNDARY = 'bench-boundary';
const project = fileURLToPath(new URL('..', import.meta.url));

interface Subject {
  readonly title: string;
  readonly host: string;
  readonly port: number;
  readonly process: ChildProcess;
}

function python(): string {
  const venv = join(project, '.venv');
  const interpreter = join(venv, 'bin', 'python');
  if (!existsSync(interpreter)) execFileSync('python3', ['-m', 'venv', venv]);
  try {
    execFileSync(interpreter, ['-c', 'import uploadserver'], { stdio: 'ignore' });
  } catch {
    execFileSync(interpreter, ['-m', 'pip', 'install', '--quiet', 'uploadserver==6.0.3']);
  }
  return interpreter;
}

async function startOurs(folder: string): Promise<Subject> {
  const script = join(project, 'bench', 'http-node.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, join(folder, 'ours')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  const line = await new Promise<string>((resolve) =>
    child.stdout.once('data', (piece) => resolve(String(piece))),
  );
  const { address, port } = JSON.parse(line) as { address: string; port: number };
  return { title: 'chordfs', host: address, port, process: child };
}

async function startUploadserver(folder: string): Promise<Subject> {
  const host = '127.23.0.9';
  const port = 18_000;
  const parameters = ['-m', 'uploadserver', String(port), '--bind', host, '--allow-replace', '-d', folder];
  const child = spawn(python(), parameters, { stdio: 'ignore' });
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port }, () => resolve(socket.destroy() !== undefined));
      socket.once('error', () => resolve(false));
    });
    if (isUp) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { title: 'uploadserver', host, port, process: child };
}

function upload({ host, port }: Subject, name: string, bytes: Buffer): Promise<number> {
  const head = Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="${name}"\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const sending = request(
      {
        ...{ host, port, method: 'POST', path: '/upload', agent: false },
        headers: {
          'Content-Type': `multipart/form-data; boundary=${BOUNDARY}`,
          'Content-Length': head.byteLength + bytes.byteLength + tail.byteLength,
        },
      },
      (response) => {
        response.resume();
        if (response.statusCode === 204) resolve(performance.now() - startedMs);
        else reject(new Error(`upload answered ${response.statusCode}`));
      },
    );
    sending.once('error', reject);
    sending.write(head);
    let at = 0;
    const more = () => {
      while (at < bytes.byteLength) {
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        at += piece.byteLength;
        if (!sending.write(piece)) return sending.once('drain', more);
      }
      return sending.end(tail);
    };
    more();
  });
}

function download({ host, port }: Subject, name: string): Promise<number> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const asking = request({ host, port, path: `/${name}`, agent: false }, (response) => {
      let received = 0;
      response.on('data', (piece: Buffer) => {
        received += piece.byteLength;
      });
      response.once('end', () => {
        if (received === SIZE_BYTES) resolve(performance.now() - startedMs);
        else reject(new Error(`download ended after ${received} bytes`));
      });
    });
    asking.once('error', reject);
    asking.end();
  });
}

/** Requests per second of a 1 KiB file; a connection is opened again when the server closes it, as uploadserver does. */
async function smallReads({ host, port }: Subject): Promise<number> {
  const asked = Buffer.from('GET /small.bin HTTP/1.1\r\nHost: bench\r\n\r\n');
  const stopAt = performance.now() + LOAD_MS;
  let answered = 0;
  const session = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ host, port, noDelay: true });
      let missing = 0;
      socket.once('connect', () => socket.write(asked));
      socket.on('data', (piece) => {
        if (missing === 0) {
          const end = piece.indexOf('\r\n\r\n');
          missing = end + 4 + Number(/content-length: (\d+)/i.exec(piece.toString('latin1', 0, end))?.[1]);
        }
        missing -= piece.byteLength;
        if (missing > 0) return;
        missing = 0;
        answered += 1;
        if (performance.now() < stopAt) socket.write(asked);
        else socket.destroy();
      });
      socket.once('error', () => undefined);
      socket.once('close', () => resolve());
    });
  const worker = async () => {
    while (performance.now() < stopAt) await session();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return answered / (LOAD_MS / 1_000);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >>> 1] ?? 0;
}

async function measure(subject: Subject) {
  const bytes = randomFillSync(Buffer.alloc(SIZE_BYTES));
  const megabytesPerSecond = (ms: number) => SIZE_BYTES / 1e6 / (ms / 1_000);
  const uploads: number[] = [];
  const downloads: number[] = [];
  for (let i = 0; i < RUNS; i++) uploads.push(megabytesPerSecond(await upload(subject, 'big.bin', bytes)));
  for (let i = 0; i < RUNS; i++) downloads.push(megabytesPerSecond(await download(subject, 'big.bin')));
  await upload(subject, 'small.bin', bytes.subarray(0, 1_024));
  const reads = await smallReads(subject);
  return {
    server: subject.title,
    'upload MB/s': Math.round(median(uploads)),
    'upload best': Math.round(Math.max(...uploads)),
    'download MB/s': Math.round(median(downloads)),
    'download best': Math.round(Math.max(...downloads)),
    '1 KiB GET/s': Math.round(reads),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'chordfs-bench-'));
try {
  const rows = [];
  for (const start of [startUploadserver, startOurs]) {
    const subject = await start(folder);
    try {
      rows.push(await measure(subject));
    } finally {
      subject.process.kill('SIGTERM');
    }
  }
  const table = rows.map((row) =>
    Object.entries(row)
      .map(([key, value]) => `${key}: ${value}`)
      .join(', '),
  );
  process.stdout.write(
    `${SIZE_BYTES / 1024 / 1024} MiB, median of ${RUNS}, ${CONNECTIONS} connections, ${cpus().length} x ${cpus()[0]?.model}, ` +
      `Node ${process.version}\n${table.join('\n')}\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
