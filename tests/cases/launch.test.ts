import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { faultsOf, uploadSample } from '../end-to-end/node-client.ts';
import { sampleFiles } from '../end-to-end/sample-files.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, isLifecycleEvent, PATIENCE_MS } from './case-cloud.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

const FILES = sampleFiles(12, 4_000_000, 5);

let given: CaseCloud;

beforeAll(async () => {
  // The hooks' 300 s are 15 here: long enough for a node to start in, short enough to wait for.
  given = await CaseCloud.start({ desired: 2, shortestHookPatienceMs: 15_000 });
  const ips = await given.test.publicIps();
  for (const [i, file] of FILES.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
});
afterAll(() => given?.stop());

/** Asks for `count` more and waits until they are in service; resolves to their ids. */
async function grow(count: number): Promise<readonly string[]> {
  const known = given.ids();
  await given.scaleTo(known.length + count);
  return given.ids().filter((id) => !known.includes(id));
}

describe('given launch events that come three times at once, to a Lambda that EC2 tells nothing at first', () => {
  let newcomers: readonly string[];

  beforeAll(async () => {
    // Half a second on this clock: the Lambda looks again every second. The public address takes longer still.
    given.machines.delayDescribe({ instanceMs: 10_000, publicIpMs: 40_000 });
    given.machines.delayLifecycleCompletion(20_000);
    const doubled = given.faults.duplicateEvents(isLifecycleEvent('launch'), 3);
    newcomers = await grow(2);
    doubled.end();
    given.machines.delayDescribe({ instanceMs: 0, publicIpMs: 0 });
    given.machines.delayLifecycleCompletion(0);
    await given.untilTableIsRight();
  });

  test('case 9: an event that is delivered thrice gives each newcomer one position', async () => {
    const positions = (await given.items()).filter(({ sk }) => String(sk).startsWith('POS#'));
    for (const id of newcomers) {
      expect(positions.filter(({ instanceId }) => instanceId === id)).toHaveLength(1);
      expect(given.log('Member Assigned', id)).toHaveLength(1);
    }
  });

  test('case 11: an instance that EC2 did not know yet is a member, with its own public address', async () => {
    for (const { instanceId, publicIp } of await given.cloud.nodes())
      expect((await given.member(instanceId))?.publicIp).toBe(publicIp);
  });

  test('case 12: two joiners that ask at once for the same arc get distinct positions', async () => {
    const living = (await given.members()).filter(({ state }) => state === 'ACTIVE');
    const claims = (await given.items()).filter(({ sk }) => String(sk).startsWith('POS#'));

    expect(new Set(living.map(({ position }) => position)).size).toBe(4);
    // Whoever came second has seen the claim of the first, and split another arc or what was left of it.
    expect(new Set(claims.map(({ instanceId }) => instanceId)).size).toBe(claims.length);
  });

  test('case 18: a launch that shows Pending:Wait for 20 s before it can be completed is completed', () => {
    for (const id of newcomers) {
      expect(given.test.lifecycle).toContain(`${id} Pending:Wait`);
      expect(given.lifecycleState(id)).toBe('InService');
    }
  });
});

describe('given two members', () => {
  beforeAll(() => given.scaleTo(2));

  test('case 8: a newcomer whose launch event is lost claims its place itself, and joins', async () => {
    const lost = given.faults.dropEvents(isLifecycleEvent('launch'));

    const [newcomer = ''] = await grow(1);
    lost.end();

    expect(lost.hits()).toBe(1);
    const assigned = await given.untilLogged('Member Assigned', newcomer);
    expect(assigned.detail['cause']).toMatch(/claimed by the node itself|reconciler/);
    await given.untilTableIsRight();
  });

  test('case 20: an instance whose node never starts is abandoned at the timeout, and leaves no row behind', async () => {
    const known = given.ids();
    given.machines.failBoots(1, 'hang');
    await given.setDesired(known.length + 1);
    const dud = await given.newcomer(known);

    const failed = await given.untilState(dud, 'FAILED');
    await given.untilReplaced(dud, known.length + 1);

    expect(failed.reason).toMatch(/./);
    expect(given.log('Join Failed', dud)).toHaveLength(1);
    expect(given.test.lifecycle).toContain(`${dud} Terminating:Wait`);
    const left = (await given.items()).filter(
      ({ instanceId, sk }) => instanceId === dud && sk !== `NODE#${dud}`,
    );
    expect(left).toEqual([]);
    await given.untilTableIsRight();
  });

  test('case 21: a bundle with the wrong checksum gives the instance up at once, its reason in the log', async () => {
    await given.scaleTo(2);
    const known = given.ids();
    given.machines.failBoots(1, 'damagedBundle');
    await given.setDesired(3);
    const dud = await given.newcomer(known);

    const event = await given.untilLogged('Join Failed', dud);
    await given.untilReplaced(dud, 3);

    expect(event.detail['cause']).toBe('boot failed: verify the bundle');
    expect((await given.untilState(dud, 'FAILED')).state).toBe('FAILED');
    await given.untilTableIsRight();
  });

  test('case 22: an instance that is terminated right after its start is completed, not left to its timeout', async () => {
    const known = given.ids();
    const timeouts = async () =>
      (await given.activities()).filter(({ StatusMessage = '' }) => /Heartbeat Timeout/.test(StatusMessage));
    const before = (await timeouts()).length;
    await given.setDesired(known.length + 1);
    const shortLived = await given.newcomer(known);
    await until(
      'its launch hook waits',
      () => given.lifecycleState(shortLived) === 'Pending:Wait',
      PATIENCE_MS,
    );
    await given.terminateInGroup(shortLived);

    await until('it is gone', () => !given.ids().includes(shortLived), PATIENCE_MS);

    expect(given.test.lifecycle).toContain(`${shortLived} Terminating:Wait`);
    expect(await timeouts()).toHaveLength(before);
    // Its launch event may be late: then the reconciler closes the row.
    await given.untilState(shortLived, 'FAILED', 'GONE', 'DEAD');
    await given.untilTableIsRight();
  });
});

describe('given a joiner whose seeds all hang', () => {
  test('case 13: it asks again and founds no ring of its own; when they wake up it joins', async () => {
    const seeds = given.ids();
    const before = await given.meta();
    for (const id of seeds) given.machines.freeze(id);
    await given.setDesired(seeds.length + 1);
    const joiner = await given.newcomer(seeds);
    await given.untilState(joiner, 'ASSIGNED', 'JOINING');
    // Long enough for a node that gives its seeds up to do something else.
    const asked = given.faults.calls.add(
      ({ session, service }) => session === joiner && service === 'dynamodb',
      { kind: 'delay', delayMs: 0 },
    );
    await until('it has looked at the table a dozen times more', () => asked.hits() >= 12, PATIENCE_MS);
    asked.end();

    expect(await given.meta()).toMatchObject({ ringId: before.ringId, epoch: before.epoch });
    for (const id of seeds) given.machines.thaw(id);
    await given.test.untilSettled(seeds.length + 1, PATIENCE_MS);

    expect(await given.meta()).toMatchObject({ ringId: before.ringId, epoch: before.epoch });
    expect(given.ids()).toContain(joiner);
    await given.untilTableIsRight();
    await given.test.untilOneRing(PATIENCE_MS);
  });
});

describe('given files, and a joiner that is killed while it joins', () => {
  test('case 15: every file is where it was, the launch is given up, and its replacement joins', async () => {
    await given.scaleTo(2);
    const known = given.ids();
    await given.setDesired(3);
    const joiner = await given.newcomer(known);
    await given.untilState(joiner, 'JOINING', 'ACTIVE');
    given.machines.crash(joiner);

    await given.untilReplaced(joiner, 3);

    expect(['FAILED', 'DEAD']).toContain((await given.untilState(joiner, 'FAILED', 'DEAD')).state);
    await given.untilTableIsRight();
    await given.test.untilOneRing(PATIENCE_MS);
    expect(await faultsOf(await given.test.publicIps(), FILES)).toEqual([]);
  });
});
