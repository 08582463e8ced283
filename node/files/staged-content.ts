import { ChordfsError } from '../../domain/errors.ts';
import { type FileRecord, WRITE_QUORUM } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { ChunkId } from '../store/store.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';

type Content = Pick<FileRecord, 'chunks' | 'uploadId'>;

/** Chunks asked for in one call. */
const PAGE = 5_000;

/**
 * Resolves once every chunk of an upload is known to be on a quorum of its replicas. The replicas said so when the
 * chunks were staged; but that may have been long ago, and whoever kept them alive since may have been away.
 *
 * @throws ChordfsError `REPLICAS_UNAVAILABLE`: of some chunk too few copies could be found now.
 */
export async function checkStagedContent(
  content: Content,
  options: {
    readonly calls: PeerCalls;
    readonly placement: Placement;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<void> {
  const { chunks } = content;
  const { calls, placement, signal, timeoutMs } = options;
  const wanted = chunks.map(({ key }) => Math.min(WRITE_QUORUM, placement.of(key).current.length));
  let lackingCount = wanted.filter((count) => count > 0).length;
  const found = (index: number) => {
    const before = wanted[index] ?? 0;
    wanted[index] = before - 1;
    if (before === 1) lackingCount--;
  };
  const ask = async ({ member, held }: Holder) => {
    for (let at = 0; at < held.length; at += PAGE) {
      const request = { chunks: held.slice(at, at + PAGE) };
      const { reply } = await calls.call(member, 'chunk-infos', request, { signal, timeoutMs });
      for (const { index, sha256 } of reply.chunks) if (chunks[index]?.sha256 === sha256) found(index);
    }
  };
  await new Promise<void>((resolve, reject) => {
    const holders = holdersOf(content, placement);
    let silentCount = holders.length;
    const settle = () => {
      // Whoever is slow is not waited for once the others have everything between them.
      if (lackingCount === 0) resolve();
      else if (silentCount === 0) reject(new ChordfsError('REPLICAS_UNAVAILABLE', { lackingCount }));
    };
    settle();
    for (const holder of holders) {
      ask(holder)
        .catch((error: unknown) => {
          if (!(error instanceof ChordfsError)) reject(error);
        })
        .finally(() => {
          silentCount--;
          settle();
        });
    }
  });
}

interface Holder {
  readonly member: RingMember;
  /** The chunks it should have. */
  readonly held: ChunkId[];
}

function holdersOf({ chunks, uploadId }: Content, placement: Placement): Holder[] {
  const byInstance = new Map<string, Holder>();
  for (const [index, { key }] of chunks.entries()) {
    for (const member of placement.of(key).current) {
      const holder = byInstance.get(member.instanceId) ?? { member, held: [] };
      holder.held.push({ key, uploadId, index });
      byInstance.set(member.instanceId, holder);
    }
  }
  return [...byInstance.values()];
}
