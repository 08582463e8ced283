import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { memberKey } from '../../domain/member-record.ts';
import { timing } from '../../domain/timing.ts';
import { download, faultsOf, upload } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, PATIENCE_MS } from './case-cloud.ts';
import { SteadyLoad } from './steady-load.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

const STAGE = 'dev';
const TIME_SCALE = 20;
/** A short form; `npm run campaign:outages` takes the ten minutes of the case. */
const OUTAGE_MS = 6_000;
/** Twice what the control plane lets a member be silent: the reconciler has met the silence more than once. */
const SILENT_MS = 2 * timing(TIME_SCALE).heartbeatStaleMs;

let given: CaseCloud;

beforeAll(async () => {
  given = await CaseCloud.start({ desired: 3, timeScale: TIME_SCALE });
  await given.untilTableIsRight();
});
afterAll(() => given?.stop());

describe('given a table that differs from the group', () => {
  test('case 47: the row of a member without an instance is closed', async () => {
    const [example] = (await given.items()).filter(({ sk }) => String(sk).startsWith('NODE#'));
    const ghost = 'i-00000000000000bad';
    await given.put({ ...example, ...memberKey(STAGE, ghost), instanceId: ghost, position: '12345678' });

    expect((await given.untilState(ghost, 'DEAD')).reason).toMatch(/^reconciler: machine/);
    await given.untilTableIsRight();
  });

  test('case 48: a member whose row was deleted is in the table again, in its place, and never stopped serving', async () => {
    const [id = ''] = given.ids();
    const before = await given.member(id);
    await given.remove(memberKey(STAGE, id));
    const [ip = ''] = await given.test.publicIps();
    expect(await upload(ip, 'meanwhile.txt', Buffer.from('served'))).toBe(204);

    const after = await given.untilState(id, 'ACTIVE');

    expect(after).toMatchObject({ position: before?.position, ringId: before?.ringId });
    await given.untilTableIsRight();
  });
});

/** Every ACTIVE member has reported a moment ago. */
async function untilReported(): Promise<void> {
  await until(
    'every member reports',
    async () => {
      const members = await given.members();
      return members
        .filter(({ state }) => state === 'ACTIVE')
        .every(({ heartbeatMs = 0 }) => Date.now() - heartbeatMs < 5_000);
    },
    PATIENCE_MS,
  );
}

async function untilSilent(instanceId: string): Promise<void> {
  await until(
    `${instanceId} is silent`,
    async () => Date.now() - ((await given.member(instanceId))?.heartbeatMs ?? Date.now()) > SILENT_MS,
    PATIENCE_MS,
  );
}

describe('given a member that cannot reach AWS', () => {
  test('case 50: it serves, is not buried for its silence alone, and reports again afterwards', async () => {
    const [{ instanceId: id = '', publicIp = '' } = {}] = await given.cloud.nodes();
    given.machines.cutFromCloud(id);
    await untilSilent(id);

    expect(await upload(publicIp, 'from the island.txt', Buffer.from('here'))).toBe(204);
    for (const ip of await given.test.publicIps())
      expect((await download(ip, 'from the island.txt')).body.toString()).toBe('here');
    expect((await given.member(id))?.state).toBe('ACTIVE');
    given.machines.heal([id]);

    await untilReported();
    expect(given.ids()).toContain(id);
    expect(given.log('Member Lost', id)).toEqual([]);
    await given.untilTableIsRight();
  });
});

describe('given machines whose clocks are wrong by 30 s of this cloud', () => {
  test('case 55: they leave and others join as if nothing were', async () => {
    const [slow = '', fast = ''] = given.ids();
    given.machines.skewClock(slow, -1_500);
    given.machines.skewClock(fast, 1_500);

    await given.scaleTo(4);
    await given.untilTableIsRight();
    await given.terminateInGroup(slow);
    await given.test.untilSettled(3, PATIENCE_MS);

    await given.untilLogged('Member Left', slow);
    expect(given.ids()).toContain(fast);
    await given.untilTableIsRight();
    given.machines.skewClock(fast, 0);
  });
});

describe.each([
  ['case 53: DynamoDB', 'dynamodb'],
  ['case 54: EventBridge', 'events'],
  ['cases 53 and 54, for Lambda: Lambda', 'lambda'],
])('given steady reads and writes', (name, service) => {
  test(`${name} is away, no request fails, and the table is right again by itself`, async () => {
    const load = new SteadyLoad(() => given.test.publicIps(), 100 + name.length);
    await until('there are files', () => load.files.length >= 3, PATIENCE_MS);
    const outage = given.faults.takeAway(service);
    await until('the outage has lasted', outlasts(OUTAGE_MS), PATIENCE_MS);
    const during = load.requests;

    outage.end();
    await given.untilTableIsRight();
    await untilReported();
    const { failures, downloads } = await load.stop();

    expect(during).toBeGreaterThan(10);
    expect(downloads).toBeGreaterThan(5);
    expect(failures).toEqual([]);
    expect(await faultsOf(await given.test.publicIps(), load.files.slice(-5))).toEqual([]);
    await given.untilTableIsRight();
  });
});

/** A condition that holds once this much time has passed: an outage is nothing but time. */
function outlasts(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() > endMs;
}

describe('given a member that no peer can reach', () => {
  test('case 51: the others go on without it; when it can be reached again it is one ring, and nothing is lost', async () => {
    const [ip = ''] = await given.test.publicIps();
    expect(await upload(ip, 'before the cut.txt', Buffer.from('kept'))).toBe(204);
    const ids = given.ids();
    const lonely = ids.at(-1) ?? '';
    given.machines.partition([lonely]);

    const others = (await given.cloud.nodes()).filter(({ instanceId }) => instanceId !== lonely);
    await until(
      'the others serve without it',
      async () => {
        const statuses = await Promise.all(
          others.map(({ publicIp }) => upload(publicIp, 'without it.txt', Buffer.from('two of three'))),
        );
        return statuses.every((status) => status === 204);
      },
      PATIENCE_MS,
    );
    given.machines.heal([lonely]);

    await given.test.untilSettled(3, PATIENCE_MS);
    await given.untilTableIsRight();
    await given.test.untilOneRing(PATIENCE_MS);
    for (const address of await given.test.publicIps()) {
      expect((await download(address, 'before the cut.txt')).body.toString()).toBe('kept');
      expect((await download(address, 'without it.txt')).body.toString()).toBe('two of three');
    }
  });
});
