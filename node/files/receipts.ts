import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Receipt } from './files.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';

const ATTEMPT_MS = 5_000;

interface Wanted {
  readonly member: RingMember;
  readonly chunks: { key: ReturnType<typeof hashName>; uploadId: string; index: number }[];
}

/** Where the copies of a file are, by asking every member that should have one. A member that is down has none to show. */
export async function receiptOf(
  record: FileRecord,
  {
    calls,
    placement,
    signal,
  }: { readonly calls: PeerCalls; readonly placement: Placement; readonly signal: AbortSignal },
): Promise<Receipt> {
  const { uploadId, name } = record;
  const wanted = new Map<string, Wanted>();
  for (const [index, { key }] of record.chunks.entries()) {
    for (const member of placement.of(key).current) {
      const entry = wanted.get(member.instanceId) ?? { member, chunks: [] };
      entry.chunks.push({ key, uploadId, index });
      wanted.set(member.instanceId, entry);
    }
  }
  const ofRecord = placement.of(hashName(name)).current.map(async (member): Promise<Receipt['copies']> => {
    const request = { name, role: 'replica' as const, inlineLimitBytes: 0 };
    const { reply } = await calls.call(member, 'read-record', request, { signal, timeoutMs: ATTEMPT_MS });
    const held = reply.record;
    if (held?.uploadId !== uploadId) return [];
    return [{ ...whereabouts(member), part: 'record', sha256: held.sha256, verifiedMs: held.modifiedMs }];
  });
  const ofChunks = [...wanted.values()].map(async ({ member, chunks }): Promise<Receipt['copies']> => {
    const { reply } = await calls.call(member, 'chunk-infos', { chunks }, { signal, timeoutMs: ATTEMPT_MS });
    return reply.chunks.map(({ index, sha256, verifiedMs }) => ({
      ...whereabouts(member),
      part: index,
      sha256,
      verifiedMs,
    }));
  });
  const answers = await Promise.all(
    [...ofRecord, ...ofChunks].map((answer) => answer.catch(nothingIfUnreachable)),
  );
  signal.throwIfAborted();
  return { record, copies: answers.flat() };
}

function whereabouts({ instanceId, publicIp }: RingMember) {
  return { instanceId, publicIp };
}

function nothingIfUnreachable(error: unknown): Receipt['copies'] {
  if (error instanceof ChordfsError) return [];
  throw error;
}
