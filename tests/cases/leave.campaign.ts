import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { faultsOf } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, isLifecycleEvent, PATIENCE_MS } from './case-cloud.ts';
import { SteadyLoad } from './steady-load.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

let given: CaseCloud;
let load: SteadyLoad;
/** Instances that a client would no longer ask, although the group calls them in service. */
const avoided = new Set<string>();

/** To be called before it is killed. */
function avoid(instanceId: string): void {
  avoided.add(instanceId);
  const instance = given.cloud.compute.instances().find((one) => one.instanceId === instanceId);
  if (instance !== undefined) load.expectDeathOf(instance.publicIp);
}

beforeAll(async () => {
  given = await CaseCloud.start({ desired: 5 });
  load = new SteadyLoad(async () => {
    const nodes = await given.cloud.nodes();
    return nodes.filter(({ instanceId }) => !avoided.has(instanceId)).map(({ publicIp }) => publicIp);
  });
  await until('there are files', () => load.files.length >= 15, PATIENCE_MS);
});
afterAll(async () => {
  await load?.stop();
  await given?.stop();
});

/** The one that left when the group went to `count`. */
async function shrinkTo(count: number): Promise<string> {
  const before = given.ids();
  await given.scaleTo(count);
  return before.find((id) => !given.ids().includes(id)) ?? '';
}

async function expectNothingLost(): Promise<void> {
  await given.untilTableIsRight();
  await given.test.untilOneRing(PATIENCE_MS);
  expect(await faultsOf(await given.test.publicIps(), load.files.slice(-20))).toEqual([]);
}

describe('given five members under steady reads and writes', () => {
  test('case 28: a member whose termination event is lost learns it from its metadata, and drains', async () => {
    const lost = given.faults.dropEvents(isLifecycleEvent('terminate'));

    const left = await shrinkTo(4);
    lost.end();

    const leaving = await given.untilLogged('Member Leaving', left);
    expect(leaving.detail['cause']).toMatch(/instance metadata|reconciler/);
    await given.untilLogged('Member Left', left);
    await expectNothingLost();
  });

  test('case 34: an unhealthy member is drained through its hook and replaced', async () => {
    const [victim = ''] = given.ids();
    await given.setUnhealthy(victim);
    await given.untilReplaced(victim, 4);

    await given.untilLogged('Member Left', victim);
    expect(given.test.lifecycle).toContain(`${victim} Terminating:Wait`);
    await expectNothingLost();
  });

  test('case 33: a Spot interruption drains the member within its two minutes, and it is replaced', async () => {
    const [victim = ''] = given.ids();
    given.machines.interruptSpot(victim);
    // The group calls it in service until EC2 takes it, long after it has left; the table and its own answers do not.
    avoided.add(victim);
    await given.untilReplaced(victim, 4);

    const leaving = await given.untilLogged('Member Leaving', victim);
    expect(leaving.detail['cause']).toMatch(/Spot/);
    await given.untilLogged('Member Left', victim);
    await expectNothingLost();
  });

  test('cases 24 and 36: a drain that cannot finish keeps the hook open, and goes on when its target is dead', async () => {
    const before = given.ids();
    // Nothing can be verified on a member that hangs.
    const [hanging = ''] = before;
    avoid(hanging);
    given.machines.freeze(hanging);
    const [, leaving = ''] = before;
    await given.terminateInGroup(leaving);
    await given.untilState(leaving, 'LEAVING');
    await until('its hook waits', () => given.lifecycleState(leaving) === 'Terminating:Wait', PATIENCE_MS);
    const stateBefore = given.lifecycleState(leaving);

    given.machines.crash(hanging);
    await until('the leaver is gone', () => !given.ids().includes(leaving), PATIENCE_MS);
    await given.test.untilSettled(3, PATIENCE_MS);

    expect(stateBefore).toBe('Terminating:Wait');
    // In this order: first the files are elsewhere and the row says so, then the hook is completed.
    await given.untilLogged('Member Left', leaving);
    expect((await given.member(leaving))?.state).toBe('GONE');
    await expectNothingLost();
  });
});

describe('given members whose metadata service is silent', () => {
  test('case 29: the row that the Lambda marked LEAVING starts the drain', async () => {
    for (const id of given.ids()) given.machines.silenceMetadata(id, true);

    const left = await shrinkTo(2);

    const leaving = await given.untilLogged('Member Leaving', left);
    expect(leaving.detail['cause']).toMatch(/Lifecycle Action/);
    await given.untilLogged('Member Left', left);
    await expectNothingLost();
  });

  test('case 30: with the event lost as well, the reconciler marks the row', async () => {
    const lost = given.faults.dropEvents(isLifecycleEvent('terminate'));

    const left = await shrinkTo(1);
    lost.end();

    const leaving = await given.untilLogged('Member Leaving', left);
    expect(leaving.detail['cause']).toMatch(/^reconciler: /);
    await given.untilLogged('Member Left', left);
    await expectNothingLost();
    for (const id of given.ids()) given.machines.silenceMetadata(id, false);
  });
});

describe('given a hook of an instance that never became a member', () => {
  test('case 31: the Lambda completes it', async () => {
    const known = given.ids();
    given.machines.failBoots(1, 'hang');
    await given.setDesired(2);
    const stranger = await given.newcomer(known);
    await until('it waits', () => given.lifecycleState(stranger) === 'Pending:Wait', PATIENCE_MS);

    await given.terminateInGroup(stranger);
    await until('it is gone', () => !given.ids().includes(stranger), PATIENCE_MS);

    expect(given.test.lifecycle).toContain(`${stranger} Terminating:Wait`);
    expect(['FAILED', 'GONE']).toContain((await given.member(stranger))?.state);
  });
});

describe('given four members again', () => {
  beforeAll(() => given.scaleTo(4));

  test('cases 32 and 56: one that is killed is pruned and replaced, also on the address it had', async () => {
    await until('there are copies of everything', () => load.requests > 0);
    const [victim] = given.cloud.compute.instances();
    const killed = victim?.instanceId ?? '';
    avoid(killed);
    given.machines.crash(killed);
    await given.untilReplaced(killed, 4);

    const lost = await given.untilLogged('Member Lost', killed);
    expect(lost.detail['cause']).toMatch(/./);
    const heir = given.cloud.compute.instances().find(({ privateIp }) => privateIp === victim?.privateIp);
    expect(heir?.instanceId).toBeDefined();
    expect(heir?.instanceId).not.toBe(killed);
    await expectNothingLost();
  });

  test('case 32: one that EC2 takes away is pruned and replaced', async () => {
    const [, victim = ''] = given.ids();
    avoid(victim);
    await given.terminateByEc2(victim);
    await given.untilReplaced(victim, 4);

    expect((await given.untilState(victim, 'DEAD', 'GONE')).state).toMatch(/DEAD|GONE/);
    await expectNothingLost();
  });

  test('case 23: no request has failed but to those that were killed, whoever came and left', async () => {
    await shrinkTo(3);

    const { failures, downloads } = await load.stop();
    await expectNothingLost();

    expect(downloads).toBeGreaterThan(50);
    expect(failures).toEqual([]);
  });

  test('cases 25 and 26: all but one leave together, neighbours among them, and nothing is lost', async () => {
    await given.scaleTo(1);

    await expectNothingLost();
  });

  test('case 27: the last one leaves without waiting for anybody', async () => {
    const [last = ''] = given.ids();
    await given.setDesired(0);
    await until('nobody is left', () => given.ids().length === 0, PATIENCE_MS);

    expect((await given.member(last))?.state).toBe('GONE');
    expect(given.test.lifecycle).toContain(`${last} Terminating:Wait`);
  });
});
