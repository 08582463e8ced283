import { createHash, randomUUID } from 'node:crypto';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { identifier } from '../../domain/identifier.ts';
import { checkFileName, renamedFile } from '../../node/files/file-name.ts';
import type { CommitOptions, Files, OpenFile, StagedFile, StageOptions } from '../../node/files/files.ts';

interface Stored {
  readonly record: FileRecord;
  readonly bytes: Buffer;
}

const PIECE_BYTES = 1024 * 1024;

/** Files in memory: passes the contract of `Files`, and lets a test fail or watch what the HTTP surface does. */
export class FakeFiles implements Files {
  /** Thrown instead of doing what was asked, while set. */
  failure: ChordfsError | undefined;
  /** Uploads staged and neither committed nor aborted. */
  readonly unsettled = new Set<string>();
  /** Bytes of uploads that arrived so far, whether or not they were committed. */
  receivedBytes = 0;
  /** When set, reading fails after this many bytes. */
  breaksAfterBytes = Number.POSITIVE_INFINITY;
  /** A staged part waits for it, as for a slow replica. */
  gate: Promise<void> = Promise.resolve();
  readonly #files = new Map<string, Stored>();
  #counter = 0;

  async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    { contentType }: StageOptions,
  ): Promise<StagedFile> {
    checkFileName(name);
    const pieces: Buffer[] = [];
    for await (const piece of body) {
      if (this.failure !== undefined) throw this.failure;
      this.receivedBytes += piece.byteLength;
      pieces.push(Buffer.from(piece));
    }
    if (this.failure !== undefined) throw this.failure;
    await this.gate;
    const uploadId = randomUUID();
    this.unsettled.add(uploadId);
    const bytes = Buffer.concat(pieces);
    return {
      commit: async (options) => {
        if (this.failure !== undefined) throw this.failure;
        const record = this.#commit({ name, contentType, uploadId, bytes }, options);
        this.unsettled.delete(uploadId);
        return record;
      },
      abort: async () => {
        this.unsettled.delete(uploadId);
      },
    };
  }

  async open(name: string): Promise<OpenFile | undefined> {
    if (this.failure !== undefined) throw this.failure;
    const stored = this.#files.get(name);
    if (stored === undefined) return undefined;
    const breaksAfterBytes = this.breaksAfterBytes;
    return {
      record: stored.record,
      async *read({ start, end }) {
        for (let at = start; at < end; at += PIECE_BYTES) {
          if (at - start >= breaksAfterBytes) throw new ChordfsError('REPLICAS_UNAVAILABLE');
          yield stored.bytes.subarray(at, Math.min(at + PIECE_BYTES, end));
        }
      },
    };
  }

  async delete(
    name: string,
    { ifMatch }: { readonly ifMatch?: readonly string[] | undefined },
  ): Promise<boolean> {
    if (this.failure !== undefined) throw this.failure;
    this.#checkConditions(name, { ifMatch });
    return this.#files.delete(name);
  }

  async list(): Promise<readonly FileRecord[]> {
    if (this.failure !== undefined) throw this.failure;
    const records = [...this.#files.values()].map(({ record }) => record);
    return records.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async receipt(name: string) {
    const stored = this.#files.get(name);
    if (stored === undefined) return undefined;
    const { record } = stored;
    const copy = {
      instanceId: 'i-1',
      publicIp: '127.0.0.11',
      sha256: record.sha256,
      verifiedMs: record.modifiedMs,
    };
    return { record, isComplete: true, copies: [{ ...copy, part: 'record' as const }], missing: [] };
  }

  #commit(
    draft: { name: string; contentType: string; uploadId: string; bytes: Buffer },
    { onConflict, ifMatch, ifNoneMatch }: CommitOptions,
  ): FileRecord {
    let name = draft.name;
    for (let n = 1; onConflict === 'rename' && this.#files.has(name); n++) name = renamedFile(draft.name, n);
    this.#checkConditions(name, { ifMatch, ifNoneMatch });
    if (onConflict === 'refuse' && this.#files.has(name)) throw new ChordfsError('FILE_EXISTS');
    this.#counter += 1;
    const { uploadId, contentType, bytes } = draft;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const record: FileRecord = {
      ...{ name, deleted: false, sizeBytes: bytes.byteLength, sha256, contentType, uploadId },
      version: { counter: this.#counter, nodeId: identifier(1) },
      modifiedMs: Date.now(),
      chunks: [{ sha256, sizeBytes: bytes.byteLength, key: hashName(name) }],
    };
    this.#files.set(name, { record, bytes });
    return record;
  }

  #checkConditions(
    name: string,
    { ifMatch, ifNoneMatch }: Pick<CommitOptions, 'ifMatch' | 'ifNoneMatch'>,
  ): void {
    const tag = this.#files.get(name)?.record.sha256;
    const matches = (tags: readonly string[]) =>
      tag !== undefined && (tags.includes('*') || tags.includes(tag));
    if (ifMatch !== undefined && !matches(ifMatch)) throw new ChordfsError('PRECONDITION_FAILED');
    if (ifNoneMatch !== undefined && matches(ifNoneMatch)) throw new ChordfsError('PRECONDITION_FAILED');
  }
}
