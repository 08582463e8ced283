import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { call, download, upload } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, isLifecycleEvent, PATIENCE_MS } from './case-cloud.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

let given: CaseCloud;
/** The table as it was under the first ring. */
let backup: readonly Readonly<Record<string, unknown>>[];

beforeAll(async () => {
  given = await CaseCloud.start({ desired: 1 });
});
afterAll(() => given?.stop());

async function untilNobodyIsLeft(): Promise<void> {
  await given.setDesired(0);
  await until('no instance is left', () => given.ids().length === 0, PATIENCE_MS);
}

/** The members in the order of the ring, each found by asking the one before who comes after it. */
async function walkSuccessors(): Promise<string[]> {
  const nodes = await given.cloud.nodes();
  const idOf = (ip: string): number =>
    Number.parseInt(nodes.find(({ publicIp }) => publicIp === ip)?.id ?? '', 16);
  const walked = [nodes[0]?.publicIp ?? ''];
  for (;;) {
    const at = walked.at(-1) ?? '';
    const key = (idOf(at) + 1) % 2 ** 32;
    const [next] = (await call(at, 'find_successor', key)) as [string, number, number];
    if (next === walked[0] || walked.length > nodes.length) return walked;
    walked.push(next);
  }
}

describe('given one instance and an empty table', () => {
  test('case 1: exactly one ring is created, by the one there is', async () => {
    await given.untilTableIsRight();

    expect(given.log('Ring Created')).toHaveLength(1);
    expect(await given.meta()).toMatchObject({ status: 'ACTIVE', epoch: 1, creator: given.ids()[0] });
    backup = await given.items();
  });
});

describe('given a group that went to zero and comes back with five at once, every launch event thrice', () => {
  let firstRing: string;

  beforeAll(async () => {
    firstRing = (await given.meta()).ringId;
    await untilNobodyIsLeft();
    const fault = given.faults.duplicateEvents(isLifecycleEvent('launch'), 3);
    await given.scaleTo(5);
    fault.end();
  });

  test('case 2: one of five is the creator, four join, and one ring is walked by successors', async () => {
    await given.untilTableIsRight();
    await given.test.untilOneRing(PATIENCE_MS);

    const { ringId } = await given.meta();
    const created = given.log('Ring Created').filter(({ detail }) => detail['ringId'] === ringId);
    const living = (await given.members()).filter(({ state }) => state === 'ACTIVE');
    expect(created).toHaveLength(1);
    expect(living.filter(({ role }) => role === 'creator')).toHaveLength(1);
    const walked = await until('the walk visits everybody', async () => {
      const found = await walkSuccessors();
      return found.length === 5 && found;
    });
    expect(new Set(walked).size).toBe(5);
  });

  test('case 6: it is a new ring with the next epoch, and no row of the old one is a seed', async () => {
    const meta = await given.meta();
    const old = (await given.members()).filter(({ ringId }) => ringId === firstRing);

    expect(meta.epoch).toBe(2);
    expect(meta.ringId).not.toBe(firstRing);
    expect(old.every(({ state }) => state === 'GONE' || state === 'DEAD')).toBe(true);
    expect(given.log('Ring Reset')).toHaveLength(1);
  });
});

describe('given a ring of the second epoch, when the table is restored from a backup of the first', () => {
  let ringId: string;
  let members: string[];

  beforeAll(async () => {
    ({ ringId } = await given.meta());
    members = given.ids().sort();
    const [ip = ''] = await given.test.publicIps();
    expect(await upload(ip, 'kept.txt', Buffer.from('still here'))).toBe(204);
    await given.restore(backup);
  });

  test('case 7: the nodes refuse the other ring, serve on, and put theirs back into the table', async () => {
    await until(
      'the ring that serves rules again',
      async () => (await given.meta()).ringId === ringId,
      PATIENCE_MS,
    );
    await given.untilTableIsRight();

    const living = (await given.members()).filter(({ state }) => state === 'ACTIVE');
    expect(living.map(({ instanceId }) => instanceId).sort()).toEqual(members);
    expect(given.ids().sort()).toEqual(members);
    await given.test.untilOneRing(PATIENCE_MS);
    for (const ip of await given.test.publicIps())
      expect((await download(ip, 'kept.txt')).body.toString()).toBe('still here');
    expect(given.log('Drift Repaired').length).toBeGreaterThanOrEqual(members.length);
  });
});

describe('given launch events that are held back until the nodes have claimed their own places', () => {
  test('case 5: the late events change nothing, and it is one ring', {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    await untilNobodyIsLeft();
    const held = given.faults.holdEvents(isLifecycleEvent('launch'));
    await given.scaleTo(2);
    const before = await given.members();
    const { ringId } = await given.meta();
    expect(given.log('Ring Created').filter(({ detail }) => detail['ringId'] === ringId)).toHaveLength(1);
    expect(held.hits()).toBe(2);

    held.release((events) => [...events, ...events, ...events].reverse());
    await until('the late events are handled', () => handledLaunches() >= 6, PATIENCE_MS);

    const placeOf = ({ instanceId, position, state }: (typeof before)[number]) =>
      `${instanceId} ${position} ${state}`;
    expect((await given.members()).map(placeOf).sort()).toEqual(before.map(placeOf).sort());
    expect((await given.meta()).ringId).toBe(ringId);
  });

  function handledLaunches(): number {
    const ids = given.ids();
    const lines = [...given.cloud.services.logs.groups()]
      .filter(([name]) => name.includes('onLaunch'))
      .flatMap(([, { events }]) => events.map(({ message }) => message));
    return lines.filter((line) => line.includes('launch handled') && ids.some((id) => line.includes(id)))
      .length;
  }
});
