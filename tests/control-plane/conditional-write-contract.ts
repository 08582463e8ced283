import { expect, test } from 'vitest';
import { activateRing, claimGenesis } from '../../domain/genesis.ts';
import { type MemberState, registerPending, tombstone, transition } from '../../domain/member-record.ts';
import { announceActivation, metaKey, parseMeta, updateMeta } from '../../domain/ring-meta.ts';
import {
  acquireAdmission,
  admissionKey,
  deathsKey,
  declareDead,
  parseAdmission,
  parseDeaths,
  releaseAdmission,
  renewAdmission,
} from '../../domain/ring-registry.ts';
import { EVENT_SOURCES, publishEvent, type ScalingEvent } from '../../domain/scaling-log.ts';
import { type ItemStore, type TableWrite, update } from '../../domain/table-writes.ts';
import { beginTeardown, endTeardown } from '../../domain/teardown.ts';
import { timing } from '../../domain/timing.ts';
import { newStage } from './member-table.ts';

const WRITERS = 20;
const NOW_MS = 1_000_000;
const numbers = Array.from({ length: WRITERS }, (_, writer) => writer);

function eventOf(stage: string, id: string): ScalingEvent {
  const detail = { stage, ringId: 'r', epoch: 1, cause: 'test', correlationId: id, before: {}, after: {} };
  return { id, source: 'chordfs.control', detailType: 'Ring Created', atMs: NOW_MS, detail };
}

/** Every conditional write that decides something, by twenty writers in the same moment: exactly one gets through. */
export function conditionalWriteContract(open: () => ItemStore): void {
  /** @returns the writers that were let through. */
  async function race(store: ItemStore, writeOf: (writer: number) => TableWrite): Promise<number[]> {
    const outcomes = await Promise.all(numbers.map((writer) => store.write(writeOf(writer))));
    return numbers.filter((writer) => outcomes[writer]);
  }

  const instance = { instanceId: 'i-1', privateIp: '10.0.0.1', publicIp: '10.0.0.1', availabilityZone: 'a' };
  const claimBy = (stage: string, writer: number, meta = parseMeta(undefined)) =>
    claimGenesis({
      stage,
      meta,
      instanceId: `i-${writer}`,
      ringId: `ring-${writer}`,
      nowMs: NOW_MS,
      leaseMs: 1,
    });

  async function formed(store: ItemStore): Promise<{ readonly stage: string; readonly ringId: string }> {
    const stage = newStage();
    await store.write(claimBy(stage, 1));
    const ring = { ringId: 'ring-1', epoch: 1 };
    await store.write(activateRing({ stage, instanceId: 'i-1', ...ring, event: eventOf(stage, 'created') }));
    return { stage, ringId: 'ring-1' };
  }

  test('one makes the row of a launching instance, and the others see it', async () => {
    const [store, stage] = [open(), newStage()];
    expect(await race(store, () => registerPending({ ...instance, stage, nowMs: NOW_MS }))).toHaveLength(1);
  });

  test('one leaves the tombstone of an instance that nobody knew', async () => {
    const [store, stage] = [open(), newStage()];
    const writeOf = () => tombstone({ stage, instanceId: 'i-1', nowMs: NOW_MS, reason: 'test', keepMs: 1 });
    expect(await race(store, writeOf)).toHaveLength(1);
  });

  test('one wins the first genesis, and one each take-over', async () => {
    const [store, stage] = [open(), newStage()];

    const [first] = await race(store, (writer) => claimBy(stage, writer));
    const meta = parseMeta(await store.get(metaKey(stage)));
    const second = await race(store, (writer) => claimBy(stage, writer, meta));

    expect(meta).toMatchObject({ creator: `i-${first}`, epoch: 1, status: 'CREATING' });
    expect(second).toHaveLength(1);
    expect(parseMeta(await store.get(metaKey(stage))).epoch).toBe(2);
  });

  test('one activates the ring, with one event in its outbox', async () => {
    const [store, stage] = [open(), newStage()];
    await store.write(claimBy(stage, 1));

    const winners = await race(store, () =>
      activateRing({
        stage,
        instanceId: 'i-1',
        ringId: 'ring-1',
        epoch: 1,
        event: eventOf(stage, 'created'),
      }),
    );

    expect(winners).toHaveLength(1);
    expect((await store.get(metaKey(stage)))?.['outbox']).toHaveLength(1);
  });

  test('every activation is counted, and none is lost', async () => {
    const store = open();
    const { stage, ringId } = await formed(store);
    const before = parseMeta(await store.get(metaKey(stage))).version;

    expect(await race(store, () => announceActivation(stage, { ringId, epoch: 1 }))).toHaveLength(WRITERS);

    expect(parseMeta(await store.get(metaKey(stage))).version).toBe(before + WRITERS);
  });

  test('one claim is ordered on each version of the ring', async () => {
    const store = open();
    const { stage } = await formed(store);
    const { version } = parseMeta(await store.get(metaKey(stage)));

    const winners = await race(store, (writer) =>
      updateMeta({
        stage,
        set: { lastClaimed: String(writer) },
        add: { version: 1 },
        conditions: [{ attribute: 'version', is: '=', value: version }],
      }),
    );

    expect(winners).toHaveLength(1);
    expect((await store.get(metaKey(stage)))?.['lastClaimed']).toBe(String(winners[0]));
  });

  test('each state of a member is entered by one', async () => {
    const [store, stage] = [open(), newStage()];
    await store.write(registerPending({ ...instance, stage, nowMs: NOW_MS }));
    const path: readonly MemberState[] = ['ASSIGNED', 'JOINING', 'ACTIVE', 'LEAVING', 'GONE'];

    for (const to of path) {
      const event = eventOf(stage, to);
      const winners = await race(store, () =>
        transition({ stage, instanceId: 'i-1', to, nowMs: NOW_MS, event }),
      );
      expect([to, winners.length]).toEqual([to, 1]);
    }
    const afterwards = path.map((to) => transition({ stage, instanceId: 'i-1', to, nowMs: NOW_MS }));
    for (const write of afterwards) expect(await store.write(write)).toBe(false);
  });

  test('one scaling decision is written down for each look at the ring', async () => {
    const store = open();
    const { stage } = await formed(store);

    const winners = await race(store, (writer) =>
      updateMeta({
        stage,
        set: { scaleKey: `key-${writer}`, scaleTarget: writer, scalePending: true },
        conditions: [{ attribute: 'scaleKey', is: '=', value: '' }],
        event: eventOf(stage, `scale-${writer}`),
      }),
    );

    expect(winners).toHaveLength(1);
    expect(parseMeta(await store.get(metaKey(stage)))).toMatchObject({
      scaleTarget: winners[0],
      scalePending: true,
    });
  });

  test('one begins the teardown', async () => {
    const store = open();
    const { stage } = await formed(store);
    const before = parseMeta(await store.get(metaKey(stage)));
    expect(await race(store, () => beginTeardown(stage, before))).toHaveLength(1);
  });

  test('one takes the teardown back, and the ring is what it was', async () => {
    const store = open();
    const { stage } = await formed(store);
    const before = await store.get(metaKey(stage));
    await store.write(beginTeardown(stage, parseMeta(before)));
    const during = parseMeta(await store.get(metaKey(stage)));
    expect(during.status).toBe('TEARDOWN');

    expect(await race(store, () => endTeardown(stage, during))).toHaveLength(1);

    expect(await store.get(metaKey(stage))).toEqual(before);
  });

  test('a teardown before there was a ring, taken back, leaves the first genesis to one', async () => {
    const [store, stage] = [open(), newStage()];
    await store.write(beginTeardown(stage, parseMeta(undefined)));
    await store.write(endTeardown(stage, parseMeta(await store.get(metaKey(stage)))));

    expect(await race(store, (writer) => claimBy(stage, writer))).toHaveLength(1);
  });

  test('a ring in teardown of which nobody noted what it was before is taken for one in use', async () => {
    const store = open();
    const { stage } = await formed(store);
    const key = metaKey(stage);
    await store.write(update(key, { set: { status: 'TEARDOWN' } }, [{ attribute: 'pk', is: 'present' }]));

    await store.write(endTeardown(stage, parseMeta(await store.get(key))));

    expect(parseMeta(await store.get(key)).status).toBe('ACTIVE');
  });

  test('no teardown begins on an older look at the ring', async () => {
    const [store, stage] = [open(), newStage()];
    await store.write(claimBy(stage, 1));
    expect(await store.write(beginTeardown(stage, parseMeta(undefined)))).toBe(false);
  });

  test('one holds the admission lease, and only it can renew or release', async () => {
    const [store, stage] = [open(), newStage()];
    const lifeOf = (writer: number) => ({ instanceId: `i-${writer}`, incarnation: 1 });
    const lease = { stage, nowMs: NOW_MS, ttlMs: 1_000 };

    const winners = await race(store, (writer) => acquireAdmission({ ...lease, holder: lifeOf(writer) }));
    expect(winners).toHaveLength(1);
    const fence = parseAdmission(await store.get(admissionKey(stage)), lifeOf(winners[0] ?? -1)) ?? -1;
    const renewers = await race(store, (writer) =>
      renewAdmission({ ...lease, fence, holder: lifeOf(writer) }),
    );
    expect(renewers).toEqual(winners);
    expect(await race(store, (writer) => releaseAdmission({ stage, fence, holder: lifeOf(writer) }))).toEqual(
      winners,
    );
  });

  test('of members that declare each other dead, exactly one is believed', async () => {
    const [store, stage] = [open(), newStage()];
    const lives = numbers.map((writer) => ({ instanceId: `i-${writer}`, incarnation: 1 }));

    const winners = await race(store, (writer) => {
      const dead = lives.filter((_, index) => index !== writer);
      return declareDead({ stage, ringId: 'r', dead, claimant: lives[writer] });
    });

    expect(winners).toHaveLength(1);
    expect(parseDeaths(await store.get(deathsKey(stage, 'r'))).size).toBe(WRITERS - 1);
  });

  test('one sends an event of the log, however many find it', async () => {
    const [store, stage] = [open(), newStage()];
    const sent: string[] = [];
    const bus = {
      sources: EVENT_SOURCES,
      put: ({ id }: ScalingEvent) => Promise.resolve(void sent.push(id)),
    };
    const publisher = { store, bus, timing: timing(1), now: () => NOW_MS };

    const outcomes = await Promise.all(numbers.map(() => publishEvent(publisher, eventOf(stage, 'e'))));

    expect(sent).toEqual(['e']);
    expect(outcomes).toContain('published');
  });

  test('what many append to one list is all there', async () => {
    const [store, key] = [open(), { pk: newStage(), sk: 'LIST' }];
    const winners = await race(store, (writer) =>
      update(key, { append: { list: writer } }, [{ attribute: 'closed', is: 'absent' }]),
    );

    expect(winners).toHaveLength(WRITERS);
    expect((await store.get(key))?.['list']).toHaveLength(WRITERS);
  });
}
