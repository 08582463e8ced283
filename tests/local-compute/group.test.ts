import { describe, expect, test } from 'vitest';
import { GroupSimulation, hook, template } from './group-simulation.ts';

const LAUNCH = hook('launch', 'LAUNCHING');
const TERMINATE = hook('terminate', 'TERMINATING');
const HEARTBEAT_MS = 300_000;
const noActive = (instanceId: string) => `No active Lifecycle Action found with instance ID ${instanceId}`;

function only(ids: readonly string[]): string {
  expect(ids).toHaveLength(1);
  return ids[0] ?? '';
}

describe('launching', () => {
  test('passes Pending, Pending:Wait, Pending:Proceed and InService', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH] });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    simulation.complete(id, 'launch');

    expect(simulation.history.get(id)).toEqual(['Pending', 'Pending:Wait', 'Pending:Proceed', 'InService']);
    expect(simulation.eventTypes()).toEqual([
      'EC2 Instance-launch Lifecycle Action',
      'EC2 Instance Launch Successful',
    ]);
    expect(simulation.state.activities[0]).toMatchObject({ status: 'Successful', statusMessage: '' });
  });

  test('without hooks it goes into service as soon as it runs', () => {
    const simulation = new GroupSimulation();

    simulation.scaleTo(2);

    expect(simulation.inState('InService')).toHaveLength(2);
  });

  test('waits for every hook of the transition', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH, hook('second', 'LAUNCHING'), TERMINATE] });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    simulation.complete(id, 'launch');
    expect(simulation.inState('Pending:Wait')).toEqual([id]);
    simulation.complete(id, 'second');

    expect(simulation.inState('InService')).toEqual([id]);
  });

  test('ABANDON ends it through the terminate hook, and another one is launched', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH, hook('second', 'LAUNCHING'), TERMINATE] });
    simulation.scaleTo(1);
    const first = only(simulation.inState('Pending:Wait'));

    simulation.complete(first, 'launch', 'ABANDON');

    expect(simulation.inState('Terminating:Wait')).toEqual([first]);
    expect(only(simulation.inState('Pending:Wait'))).not.toBe(first);
    expect(simulation.eventTypes()).toContain('EC2 Instance Launch Unsuccessful');
    expect(simulation.state.activities[0]).toMatchObject({
      status: 'Cancelled',
      statusMessage: expect.stringMatching(
        /^Instance failed to complete user's Lifecycle Action: Lifecycle Action with token \S+ was abandoned: Lifecycle Action Completed with ABANDON Result$/,
      ),
    });
  });

  test.each([
    ['ABANDON', 'Terminating:Wait'],
    ['CONTINUE', 'InService'],
  ] as const)('a timeout with default result %s leads to %s', (DefaultResult, state) => {
    const simulation = new GroupSimulation({
      hooks: [hook('launch', 'LAUNCHING', { DefaultResult }), TERMINATE],
    });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    simulation.pass(HEARTBEAT_MS - 1);
    expect(simulation.inState('Pending:Wait')).toEqual([id]);
    simulation.pass(1);

    expect(simulation.inState(state)).toEqual([id]);
  });

  test('heartbeats keep it waiting, but never beyond a hundred timeouts', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH] });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    let beats = 0;
    while (simulation.inState('Pending:Wait').includes(id) && beats < 1_000) {
      simulation.heartbeat(id, 'launch');
      simulation.pass(HEARTBEAT_MS / 2);
      beats++;
    }

    expect(beats).toBe(200);
  });

  test('never waits longer than 48 hours, whatever the heartbeat timeout', () => {
    const simulation = new GroupSimulation({
      hooks: [hook('launch', 'LAUNCHING', { HeartbeatTimeout: 7200 })],
    });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    for (let hour = 0; hour < 100 && simulation.inState('Pending:Wait').includes(id); hour++) {
      simulation.heartbeat(id, 'launch');
      simulation.pass(3_600_000);
    }

    expect(simulation.nowMs).toBe(48 * 3_600_000);
  });

  test('refused launches are retried after ever longer pauses', () => {
    const simulation = new GroupSimulation();
    simulation.failingLaunches = 4;

    simulation.scaleTo(1);
    simulation.pass(15_000 + 30_000 + 60_000 + 120_000 - 1);
    expect(simulation.state.activities.map(({ status }) => status)).toEqual(Array(4).fill('Failed'));
    expect(simulation.group.capacity()).toBe(0);
    simulation.pass(1);

    expect(simulation.inState('InService')).toHaveLength(1);
    expect(simulation.events[0]).toMatchObject({
      'detail-type': 'EC2 Instance Launch Unsuccessful',
      detail: { StatusCode: 'Failed', StatusMessage: 'We currently do not have sufficient capacity' },
    });
  });

  test('launches that are abandoned again and again are slowed down too', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH] });
    simulation.scaleTo(1);
    let launches = 0;
    for (let i = 0; i < 10_000 && simulation.nowMs < 3_600_000; i++) {
      for (const id of simulation.inState('Pending:Wait')) {
        launches++;
        simulation.complete(id, 'launch', 'ABANDON');
      }
      simulation.pass(1_000);
    }

    expect(launches).toBeGreaterThan(5);
    expect(launches).toBeLessThan(20);
  });
});

describe('terminating', () => {
  function inService(changes: ConstructorParameters<typeof GroupSimulation>[0] = {}) {
    const simulation = new GroupSimulation({ hooks: [TERMINATE], ...changes });
    simulation.scaleTo(1);
    return { simulation, id: only(simulation.inState('InService')) };
  }

  test('passes Terminating, Terminating:Wait, Terminating:Proceed and Terminated', () => {
    const { simulation, id } = inService();

    simulation.scaleTo(0);
    simulation.complete(id, 'terminate');

    expect(simulation.history.get(id)?.slice(-4)).toEqual([
      'Terminating',
      'Terminating:Wait',
      'Terminating:Proceed',
      'Terminated',
    ]);
    expect(simulation.state.instances).toEqual([]);
    expect(simulation.eventTypes().slice(-2)).toEqual([
      'EC2 Instance-terminate Lifecycle Action',
      'EC2 Instance Terminate Successful',
    ]);
    expect(simulation.events.at(-1)?.detail).toMatchObject({
      Origin: 'AutoScalingGroup',
      Destination: 'EC2',
    });
  });

  test('ABANDON skips the hooks that are still open', () => {
    const { simulation, id } = inService({ hooks: [TERMINATE, hook('second', 'TERMINATING')] });
    simulation.scaleTo(0);

    simulation.complete(id, 'second', 'ABANDON');

    expect(simulation.state.instances).toEqual([]);
  });

  test('an abandoned instance is retained when the policy says so, until somebody ends it', () => {
    const { simulation, id } = inService();
    simulation.state.configuration.terminateHookAbandon = 'retain';
    simulation.scaleTo(0);

    simulation.pass(HEARTBEAT_MS);
    expect(simulation.inState('Terminating:Retained')).toEqual([id]);
    simulation.pass(10 * HEARTBEAT_MS);
    expect(simulation.inState('Terminating:Retained')).toEqual([id]);
    const instance = simulation.group.find(id);
    if (instance !== undefined) simulation.group.terminate(instance, 'a user request');
    simulation.settle();

    expect(simulation.state.instances).toEqual([]);
  });

  test('a machine that is gone cannot be retained', () => {
    const { simulation, id } = inService();
    simulation.state.configuration.terminateHookAbandon = 'retain';
    simulation.scaleTo(0);
    simulation.group.machineGone(id);

    simulation.pass(HEARTBEAT_MS);

    expect(simulation.state.instances).toEqual([]);
  });

  test('a machine that vanishes is noticed after a minute, runs its hook and is replaced', () => {
    const { simulation, id } = inService();

    simulation.group.machineGone(id);
    simulation.pass(59_999);
    expect(simulation.inState('InService')).toEqual([id]);
    simulation.pass(1);

    expect(simulation.inState('Terminating:Wait')).toEqual([id]);
    expect(simulation.inState('InService')).toHaveLength(1);
    expect(simulation.state.activities.at(-1)?.cause).toContain('unhealthy instance needing to be replaced');
  });

  test('a machine that vanishes while it waits to go still waits for its hook', () => {
    const { simulation, id } = inService();
    simulation.scaleTo(0);

    simulation.group.machineGone(id);
    simulation.settle();
    expect(simulation.inState('Terminating:Wait')).toEqual([id]);
    simulation.complete(id, 'terminate');

    expect(simulation.state.instances).toEqual([]);
  });

  test('protected instances are not scaled in', () => {
    const { simulation, id } = inService();
    const instance = simulation.group.find(id);
    if (instance !== undefined) instance.protectedFromScaleIn = true;

    simulation.scaleTo(0);

    expect(simulation.inState('InService')).toEqual([id]);
  });

  test('the oldest launch template goes first, then the oldest instance', () => {
    const simulation = new GroupSimulation();
    simulation.scaleTo(1);
    simulation.state.configuration.launchTemplate = template(2);
    simulation.nowMs = 1;
    simulation.scaleTo(2);
    simulation.nowMs = 2;
    simulation.scaleTo(3);
    const [first, second, third] = simulation.inState('InService');

    simulation.scaleTo(2);
    expect(simulation.inState('InService')).toEqual([second, third]);
    simulation.scaleTo(1);

    expect(simulation.inState('InService')).toEqual([third]);
    expect(first).toBeDefined();
  });
});

describe('completing', () => {
  test.each([
    ['too late', 'launch', 'i-2'],
    ['another hook', 'terminate', 'i-2'],
    ['an unknown instance', 'launch', 'i-99'],
  ])('%s has one text', (_what, hookName, instanceId) => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH, TERMINATE] });
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));
    expect(id).toBe('i-2');
    simulation.complete(id, 'launch');

    expect(() => simulation.complete(instanceId, hookName)).toThrow(noActive(instanceId));
  });

  test('too early has the same text: the wait is visible before it can be completed', () => {
    const simulation = new GroupSimulation({ hooks: [LAUNCH] });
    simulation.completionDelayMs = 20_000;
    simulation.scaleTo(1);
    const id = only(simulation.inState('Pending:Wait'));

    expect(() => simulation.complete(id, 'launch')).toThrow(noActive(id));
    simulation.pass(20_000);
    simulation.complete(id, 'launch');

    expect(simulation.inState('InService')).toEqual([id]);
  });
});

describe('refreshing', () => {
  function refreshing(options: { instances: number; minHealthyPercentage?: number; autoRollback?: boolean }) {
    const simulation = new GroupSimulation({ hooks: [LAUNCH, TERMINATE] });
    simulation.scaleTo(options.instances);
    for (const id of simulation.inState('Pending:Wait')) simulation.complete(id, 'launch');
    const outdated = simulation.inState('InService');
    simulation.state.refreshes.push({
      instanceRefreshId: 'r-1',
      startMs: simulation.nowMs,
      preferences: {
        minHealthyPercentage: options.minHealthyPercentage ?? 100,
        skipMatching: true,
        autoRollback: options.autoRollback ?? false,
      },
      desiredTemplate: template(2),
      instancesToUpdate: outdated.length,
      outdated: [...outdated],
      launchFailures: 0,
      status: 'InProgress',
      statusReason: undefined,
      endMs: undefined,
    });
    simulation.group.advance();
    simulation.settle();
    return { simulation, outdated, status: () => simulation.state.refreshes[0]?.status };
  }

  test.each([1, 2, 4])('replaces %i instances one by one and never has fewer in service', (instances) => {
    const { simulation, outdated, status } = refreshing({ instances });

    for (let step = 0; status() === 'InProgress' && step < 100; step++) {
      expect(simulation.state.configuration.launchTemplate).toEqual(template(1));
      expect(simulation.inState('InService').length).toBeGreaterThanOrEqual(instances);
      expect(simulation.inState('Pending:Wait').length).toBeLessThanOrEqual(1);
      for (const id of simulation.inState('Pending:Wait')) simulation.complete(id, 'launch');
      for (const id of simulation.inState('Terminating:Wait')) simulation.complete(id, 'terminate');
    }

    expect(status()).toBe('Successful');
    expect(simulation.state.configuration.launchTemplate).toEqual(template(2));
    expect(simulation.inState('InService')).toHaveLength(instances);
    expect(simulation.inState('InService').some((id) => outdated.includes(id))).toBe(false);
    expect(simulation.eventTypes().at(-1)).toBe('EC2 Auto Scaling Instance Refresh Succeeded');
  });

  const versions = ({ state }: GroupSimulation) =>
    state.instances.map(({ launchTemplate: { Version } }) => Version);

  test('what scaling adds meanwhile is of the new version too', () => {
    const { simulation } = refreshing({ instances: 1 });

    simulation.scaleTo(2);

    expect(versions(simulation)).toEqual(['1', '2', '2']);
  });

  test('cancelled, what it has replaced stays, and the group launches the old version again', () => {
    const { simulation, status } = refreshing({ instances: 1 });
    const [refresh] = simulation.state.refreshes;
    for (const id of simulation.inState('Pending:Wait')) simulation.complete(id, 'launch');
    if (refresh !== undefined) refresh.status = 'Cancelling';
    for (const id of simulation.inState('Terminating:Wait')) simulation.complete(id, 'terminate');

    simulation.scaleTo(2);

    expect(status()).toBe('Cancelled');
    expect(versions(simulation)).toEqual(['2', '1']);
  });

  test('below 100 percent the old one goes first', () => {
    const { simulation, outdated } = refreshing({ instances: 2, minHealthyPercentage: 50 });

    expect(simulation.inState('Terminating:Wait')).toEqual([outdated[0]]);
  });

  test('a bad version leaves the old instances alone and rolls back', () => {
    const { simulation, outdated, status } = refreshing({ instances: 2, autoRollback: true });

    for (let step = 0; status() === 'InProgress' && step < 100; step++) {
      for (const id of simulation.inState('Pending:Wait')) simulation.complete(id, 'launch', 'ABANDON');
      for (const id of simulation.inState('Terminating:Wait')) simulation.complete(id, 'terminate');
      simulation.pass(60_000);
    }
    for (const id of simulation.inState('Terminating:Wait')) simulation.complete(id, 'terminate');

    expect(status()).toBe('RollbackSuccessful');
    expect(simulation.inState('InService')).toEqual(outdated);
    expect(simulation.state.configuration.launchTemplate).toEqual(template(1));
  });
});
