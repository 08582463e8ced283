import { setTimeout as pause } from 'node:timers/promises';
import { REPLICA_COUNT } from '../../domain/file-record.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetProcess } from '../fleet/fleet-process.ts';

interface ReceiptView {
  readonly record: { readonly chunks: readonly unknown[] };
  readonly copies: readonly { readonly instanceId: string; readonly part: 'record' | number }[];
}

const PARALLEL = 6;
const RETRY_MS = 150;

/** Whether every node sees exactly these members, all of them active. */
export async function isOneRing(fleet: Fleet, nodes: readonly FleetProcess[]): Promise<boolean> {
  const expected = nodes
    .map(({ spec }) => `${spec.instanceId} active`)
    .sort()
    .join();
  const views = await Promise.all(
    nodes.map(async (node) => {
      const { isReady, members = [] } = await fleet
        .status(node)
        .catch(() => ({ isReady: false, members: [] }));
      return isReady
        ? members
            .map(({ instanceId, phase }) => `${instanceId} ${phase}`)
            .sort()
            .join()
        : '';
    }),
  );
  return views.every((view) => view === expected);
}

/** How many copies a file has: of its record or of the chunk that has fewest. Undefined when there is no such file. */
export async function copiesOf(fleet: Fleet, node: FleetProcess, name: string): Promise<number | undefined> {
  const path = `/_chordfs/receipt/${encodeURIComponent(name)}`;
  const answer = await fleet.http.ask(node.spec.address, { method: 'GET', path, timeoutMs: 20_000 });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) return 0;
  const { record, copies }: ReceiptView = JSON.parse(answer.body.toString());
  const parts = ['record' as const, ...record.chunks.keys()];
  return Math.min(
    ...parts.map(
      (part) => new Set(copies.filter((copy) => copy.part === part).map((c) => c.instanceId)).size,
    ),
  );
}

/**
 * Waits until one ring of exactly these nodes has every file in as many copies as it should.
 * @throws naming what is missing when the time is over.
 */
export async function whenHealthy(
  fleet: Fleet,
  {
    nodes,
    names,
    timeoutMs,
  }: {
    readonly nodes: readonly FleetProcess[];
    readonly names: readonly string[];
    readonly timeoutMs: number;
  },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  await fleet.until('one ring of the nodes that are up', timeoutMs, () => isOneRing(fleet, nodes));
  const wanted = Math.min(REPLICA_COUNT, nodes.length);
  const waiting = [...names];
  const worker = async (n: number) => {
    const node = nodes[n % nodes.length];
    for (let name = waiting.pop(); name !== undefined && node !== undefined; name = waiting.pop()) {
      for (;;) {
        const copies = await copiesOf(fleet, node, name).catch(() => 0);
        if (copies === undefined || copies >= wanted) break;
        if (performance.now() > deadline) throw new Error(`${name} has ${copies} copies, not ${wanted}`);
        await pause(RETRY_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, n) => worker(n)));
}
