import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryItemStore } from '../../bench/genesis/memory-item-store.ts';
import { claimPlace } from '../../domain/assignment.ts';
import { activateRing } from '../../domain/genesis.ts';
import { identifier } from '../../domain/identifier.ts';
import { memberKey, parseMember, transition, usageAttribute } from '../../domain/member-record.ts';
import { metaKey, parseMeta } from '../../domain/ring-meta.ts';
import {
  type ItemStore,
  META,
  NODE_PREFIX,
  POSITION_PREFIX,
  ringPartition,
  update,
} from '../../domain/table-writes.ts';
import { timing } from '../../domain/timing.ts';
import { newStage } from './member-table.ts';

/** Thousands of calls to a database: seconds on an idle machine, more on a busy one. */
const MANY_RUNS_MS = 180_000;

class Crash extends Error {}

/** A store whose calls wait for the scheduler, and whose user dies at its n-th write. */
function hesitant(
  store: ItemStore,
  scheduler: fc.Scheduler,
  dieAtWrite = Number.POSITIVE_INFINITY,
): ItemStore {
  let writes = 0;
  return {
    get: (key) => scheduler.schedule(Promise.resolve(), 'get').then(() => store.get(key)),
    list: (pk, prefix) => scheduler.schedule(Promise.resolve(), 'list').then(() => store.list(pk, prefix)),
    async write(write) {
      await scheduler.schedule(Promise.resolve(), 'write');
      writes += 1;
      if (writes === dieAtWrite) throw new Crash('before the write');
      const outcome = await store.write(write);
      if (writes === dieAtWrite - 0.5) throw new Crash('after the write');
      return outcome;
    },
  };
}

/** A store whose user is overtaken once: `meanwhile` happens between its look and its first write of META. */
function overtaken(
  store: ItemStore,
  meanwhile: () => Promise<unknown>,
): ItemStore & { readonly looks: () => number } {
  let looks = 0;
  let isOvertaken = false;
  return {
    looks: () => looks,
    get: (key) => {
      if (key.sk === META) looks += 1;
      return store.get(key);
    },
    list: (pk, prefix) => store.list(pk, prefix),
    async write(write) {
      if (write.key.sk === META && !isOvertaken) {
        isOvertaken = true;
        await meanwhile();
      }
      return await store.write(write);
    },
  };
}

class Stage {
  readonly name = newStage();
  readonly store: ItemStore;
  nowMs = 1_000_000;
  private rings = 0;

  constructor(store: ItemStore) {
    this.store = store;
  }

  claim(instanceId: string, store: ItemStore = this.store) {
    return claimPlace({
      store,
      stage: this.name,
      timing: timing(1),
      now: () => this.nowMs,
      newRingId: () => {
        this.rings += 1;
        return `ring-${this.rings}`;
      },
      instance: { instanceId, privateIp: '127.25.0.1', publicIp: '127.25.0.1', availabilityZone: 'a' },
      source: 'chordfs.control',
      cause: 'test',
      correlationId: instanceId,
    });
  }

  /** A heartbeat of a member whose bytes lie in the first part of its arc. */
  async reportBytes(instanceId: string, bytes: number): Promise<void> {
    const usage = usageAttribute({
      usedBytes: bytes,
      capacityBytes: 1_000_000_000,
      fileCount: 1,
      predecessorId: undefined,
      successorId: undefined,
      arcWeights: [{ upTo: identifier(0x90000000), bytes }],
    });
    const key = memberKey(this.name, instanceId);
    await this.store.write(
      update(key, { set: { usage } }, [{ attribute: 'state', is: '=', value: 'ACTIVE' }]),
    );
  }

  async meta() {
    return parseMeta(await this.store.get(metaKey(this.name)));
  }

  async members() {
    const items = await this.store.list(ringPartition(this.name), NODE_PREFIX);
    return items.flatMap((item) => parseMember(item) ?? []);
  }

  positions() {
    return this.store.list(ringPartition(this.name), POSITION_PREFIX);
  }

  /** What the creator's node does once its ring of one runs. False: it was fenced. */
  async activate(
    instanceId: string,
    claimed: { readonly ringId: string; readonly epoch: number },
  ): Promise<boolean> {
    const { ringId, epoch } = claimed;
    const isFirst = await this.store.write(
      activateRing({
        stage: this.name,
        instanceId,
        ringId,
        epoch,
        event: {
          id: `created-${epoch}`,
          source: 'chordfs.node',
          detailType: 'Ring Created',
          atMs: this.nowMs,
          detail: { stage: this.name, ringId, epoch, cause: '', correlationId: '', before: {}, after: {} },
        },
      }),
    );
    if (!isFirst) return false;
    for (const to of ['JOINING', 'ACTIVE'] as const) {
      await this.store.write(transition({ stage: this.name, instanceId, to, nowMs: this.nowMs }));
    }
    return true;
  }
}

const open = () => new Stage(new MemoryItemStore());

test('of five instances that launch at once, in any interleaving, exactly one is the creator', {
  timeout: MANY_RUNS_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const stage = open();
      const ids = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5'];
      const claims = ids.map((id) => stage.claim(id, hesitant(stage.store, scheduler)));
      const settled = Promise.all(claims);
      await scheduler.waitFor(settled);
      const results = await settled;

      const creators = results.filter((result) => result.kind === 'assigned' && result.role === 'creator');
      expect(creators).toHaveLength(1);
      expect(results.filter(({ kind }) => kind === 'wait')).toHaveLength(4);
      expect((await stage.meta()).epoch).toBe(1);
    }),
    { numRuns: 40 },
  );
});

test('however the creators die, one ring forms in the end, and everybody else joins it', {
  timeout: MANY_RUNS_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(
        fc.integer({ min: 1, max: 10 }).map((n) => n / 2 + 0.5),
        { minLength: 5, maxLength: 5 },
      ),
      async (scheduler, deaths) => {
        const stage = open();
        const ids = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5'];
        const first = ids.map((id, index) =>
          stage.claim(id, hesitant(stage.store, scheduler, deaths[index])).catch((error: unknown) => {
            if (!(error instanceof Crash)) throw error;
          }),
        );
        const settled = Promise.all(first);
        await scheduler.waitFor(settled);
        // Whoever held the genesis is silent for longer than its lease; then all ask again.
        stage.nowMs += timing(1).creatorLeaseMs + 1;
        const survivors = ids.slice(1);
        for (let round = 0; round < 3; round++) {
          for (const id of survivors) {
            const result = await stage.claim(id);
            if (result.kind === 'assigned' && result.role === 'creator') await stage.activate(id, result);
          }
        }

        const meta = await stage.meta();
        const members = (await stage.members()).filter(({ instanceId }) => survivors.includes(instanceId));
        expect(meta.status).toBe('ACTIVE');
        expect(members.filter(({ state }) => state === 'ACTIVE')).toHaveLength(1);
        expect(members.every(({ ringId, epoch }) => ringId === meta.ringId && epoch === meta.epoch)).toBe(
          true,
        );
        const placed = members.map(({ position }) => position);
        expect(new Set(placed).size).toBe(survivors.length);
      },
    ),
    { numRuns: 25 },
  );
});

test('a genesis claim made on an old look is refused, whatever has happened since', async () => {
  const stage = open();
  const slow = overtaken(stage.store, async () => {
    const fast = await stage.claim('i-fast');
    if (fast.kind === 'assigned') await stage.activate('i-fast', fast);
  });

  const result = await stage.claim('i-slow', slow);

  const meta = await stage.meta();
  expect(meta).toMatchObject({ status: 'ACTIVE', creator: 'i-fast', epoch: 1 });
  expect(result).toMatchObject({ kind: 'assigned', role: 'joiner', ringId: meta.ringId });
});

test('a joiner that was overtaken by another looks again before it takes a place', async () => {
  const stage = open();
  const creator = await stage.claim('i-0');
  if (creator.kind !== 'assigned') throw new Error('no creator');
  await stage.activate('i-0', creator);
  const slow = overtaken(stage.store, async () => {
    // Between the two looks the bytes change, so that the other's place is not the one this look would choose.
    await stage.reportBytes('i-0', 500_000_000);
    await stage.claim('i-fast');
  });

  await stage.claim('i-slow', slow);

  expect(slow.looks()).toBe(2);
  const placed = (await stage.members()).map(({ position }) => position);
  expect(new Set(placed).size).toBe(3);
});

test('a creator that oversleeps its lease can no longer activate', async () => {
  const stage = open();
  const slow = await stage.claim('i-slow');
  stage.nowMs += timing(1).creatorLeaseMs + 1;
  const fast = await stage.claim('i-fast');
  if (slow.kind !== 'assigned' || fast.kind !== 'assigned') throw new Error('both were creators in turn');

  expect(fast.epoch).toBe(slow.epoch + 1);
  expect(await stage.activate('i-slow', slow)).toBe(false);
  expect(await stage.activate('i-fast', fast)).toBe(true);
  const again = await stage.claim('i-slow');
  expect(again).toMatchObject({ kind: 'assigned', role: 'joiner', ringId: fast.ringId });
});

test('a repeated claim answers the same place and writes nothing', async () => {
  const stage = open();
  const first = await stage.claim('i-1');
  const before = await stage.members();

  expect(await stage.claim('i-1')).toEqual(first);
  expect(await stage.members()).toEqual(before);
});

test('twenty joiners that ask at once get twenty places, no two in one arc', async () => {
  const stage = open();
  const creator = await stage.claim('i-0');
  if (creator.kind !== 'assigned') throw new Error('no creator');
  await stage.activate('i-0', creator);

  // Conflicts are settled by trying again, so as many as the tries allow ask in the same moment.
  const ids = Array.from({ length: 20 }, (_, index) => `i-${index + 1}`);
  for (const group of [ids.slice(0, 5), ids.slice(5, 10), ids.slice(10, 15), ids.slice(15)]) {
    await Promise.all(group.map((id) => stage.claim(id)));
  }

  const positions = (await stage.members()).map(({ position }) => Number(position)).sort((a, b) => a - b);
  expect(new Set(positions).size).toBe(21);
  const arcs = positions.map((id, index) => (id - (positions.at(index - 1) ?? 0)) >>> 0);
  expect(Math.max(...arcs) / Math.min(...arcs)).toBeLessThanOrEqual(2.01);
  expect(await stage.positions()).toHaveLength(21);
});

test('when no member is left, the next instance founds a new ring, and no stale row can be a seed', async () => {
  const stage = open();
  const first = await stage.claim('i-1');
  if (first.kind !== 'assigned') throw new Error('no creator');
  await stage.activate('i-1', first);
  for (const to of ['LEAVING', 'GONE'] as const) {
    await stage.store.write(transition({ stage: stage.name, instanceId: 'i-1', to, nowMs: stage.nowMs }));
  }

  const second = await stage.claim('i-2');

  expect(second).toMatchObject({ kind: 'assigned', role: 'creator', epoch: first.epoch + 1 });
  expect(second.kind === 'assigned' && second.ringId).not.toBe(first.ringId);
});

test('a tombstone is never revived', async () => {
  const stage = open();
  await stage.claim('i-1');
  await stage.store.write(
    transition({ stage: stage.name, instanceId: 'i-1', to: 'FAILED', nowMs: stage.nowMs }),
  );

  expect(await stage.claim('i-1')).toEqual({ kind: 'refused', state: 'FAILED' });
  const row = await stage.store.get(memberKey(stage.name, 'i-1'));
  expect(row?.['state']).toBe('FAILED');
});
