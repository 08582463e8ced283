import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Copy, MissingCopy, Receipt } from './files.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';

const ATTEMPT_MS = 5_000;
/** Chunks asked for in one call: a file of 500 GB on three members fits in a few. */
const PAGE = 5_000;

interface Chunk {
  readonly key: ReturnType<typeof hashName>;
  readonly uploadId: string;
  readonly index: number;
}

interface ReceiptOptions {
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly signal: AbortSignal;
  /** Ms since the epoch. */
  readonly now: () => number;
}

type Part = Copy['part'];
type Found = Pick<Copy, 'part' | 'sha256' | 'verifiedMs'>;

/** Where the copies of a file are, by asking every member that should have one, and which of them are not there. */
export async function receiptOf(record: FileRecord, options: ReceiptOptions): Promise<Receipt> {
  const { placement, signal } = options;
  const holders = placement.of(hashName(record.name)).current;
  const asked = [
    ...holders.map((member) => ask(member, ['record'], () => recordOn(member, record, options))),
    ...[...chunksByMember(record, placement)].map(([member, chunks]) =>
      ask(
        member,
        chunks.map(({ index }) => index),
        () => chunksOn(member, chunks, options),
      ),
    ),
  ];
  const answers = await Promise.all(asked);
  signal.throwIfAborted();
  const copies = answers.flatMap((answer) => answer.copies).sort(byPart);
  const missing = answers.flatMap((answer) => answer.missing).sort(byPart);
  return { record, isComplete: missing.length === 0, copies, missing };
}

async function ask(
  { instanceId, publicIp }: RingMember,
  parts: readonly Part[],
  find: () => Promise<readonly Found[]>,
): Promise<{ copies: Copy[]; missing: MissingCopy[] }> {
  const where = { instanceId, publicIp };
  try {
    const found = await find();
    const seen = new Set(found.map(({ part }) => part));
    const absent = parts.filter((part) => !seen.has(part));
    return {
      copies: found.map((each) => ({ ...where, ...each })),
      missing: absent.map((part) => ({ ...where, part, reason: 'absent' })),
    };
  } catch (error) {
    if (!(error instanceof ChordfsError)) throw error;
    return { copies: [], missing: parts.map((part) => ({ ...where, part, reason: 'no answer' })) };
  }
}

/** A record is checked against its own checksum whenever it is read, so this very answer is its verification. */
async function recordOn(
  member: RingMember,
  { name, uploadId }: FileRecord,
  { calls, signal, now }: ReceiptOptions,
): Promise<Found[]> {
  const request = { name, role: 'replica' as const, inlineLimitBytes: 0 };
  const { reply } = await calls.call(member, 'read-record', request, { signal, timeoutMs: ATTEMPT_MS });
  const held = reply.record;
  return held?.uploadId === uploadId ? [{ part: 'record', sha256: held.sha256, verifiedMs: now() }] : [];
}

async function chunksOn(
  member: RingMember,
  chunks: readonly Chunk[],
  { calls, signal }: ReceiptOptions,
): Promise<Found[]> {
  const found: Found[] = [];
  for (let at = 0; at < chunks.length; at += PAGE) {
    const request = { chunks: chunks.slice(at, at + PAGE) };
    const { reply } = await calls.call(member, 'chunk-infos', request, { signal, timeoutMs: ATTEMPT_MS });
    for (const { index, sha256, verifiedMs } of reply.chunks) found.push({ part: index, sha256, verifiedMs });
  }
  return found;
}

function chunksByMember({ chunks, uploadId }: FileRecord, placement: Placement): Map<RingMember, Chunk[]> {
  const wanted = new Map<string, { readonly member: RingMember; readonly chunks: Chunk[] }>();
  for (const [index, { key }] of chunks.entries()) {
    for (const member of placement.of(key).current) {
      const entry = wanted.get(member.instanceId) ?? { member, chunks: [] };
      entry.chunks.push({ key, uploadId, index });
      wanted.set(member.instanceId, entry);
    }
  }
  return new Map([...wanted.values()].map(({ member, chunks: held }) => [member, held]));
}

/** The record first, then the chunks in their order. */
function byPart(a: { readonly part: Part }, b: { readonly part: Part }): number {
  const rank = (part: Part) => (part === 'record' ? -1 : part);
  return rank(a.part) - rank(b.part);
}
