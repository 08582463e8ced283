import { describe, expect, test } from 'vitest';
import { autoScalingService } from '../../local/auto-scaling/operations.ts';
import type { CloudClock, EmittedEvent } from '../../local/service.ts';
import { hook, template } from './group-simulation.ts';
import { withInstantMachines } from './instant-machines.ts';

/** A clock that moves only when told to, and by `tickMs` each time somebody looks. */
class ManualClock implements CloudClock {
  readonly timeScale = 10;
  tickMs = 0;
  private nowMs = 1_000_000;
  private readonly tasks = new Set<{ atMs: number; task: () => void | Promise<void> }>();

  now(): number {
    this.nowMs += this.tickMs;
    return this.nowMs;
  }

  after(cloudMs: number, task: () => void | Promise<void>) {
    const entry = { atMs: this.nowMs + cloudMs / this.timeScale, task };
    this.tasks.add(entry);
    return { cancel: () => void this.tasks.delete(entry) };
  }

  /** Cloud time passes; every timer fires in its turn. */
  pass(cloudMs: number): void {
    const endMs = this.nowMs + cloudMs / this.timeScale;
    for (let fired = 0; fired < 1_000; fired++) {
      const [next] = [...this.tasks].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.tasks.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      void next.task();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }
}

function given(hooks = [hook('launch', 'LAUNCHING'), hook('terminate', 'TERMINATING')], tickMs = 0) {
  const clock = new ManualClock();
  clock.tickMs = tickMs;
  const events: EmittedEvent[] = [];
  const ended: string[] = [];
  let refusals = 0;
  const autoScaling = withInstantMachines({
    clock,
    emit: (event) => events.push(event),
    isRefused: () => refusals-- > 0,
    onEnding: (instanceId) => ended.push(instanceId),
  });
  const { operations } = autoScalingService(autoScaling);
  const call = (name: string, input: object) =>
    operations[name]?.(input as never, { accessKeyId: '', roleArn: undefined });
  call('CreateAutoScalingGroup', {
    AutoScalingGroupName: 'g',
    MinSize: 1,
    MaxSize: 4,
    DesiredCapacity: 2,
    LaunchTemplate: { LaunchTemplateName: 'node' },
    LifecycleHookSpecificationList: hooks,
  });
  const states = () => autoScaling.find('g').state.instances.map(({ lifecycleState }) => lifecycleState);
  const run = () => {
    for (const { instanceId } of [...autoScaling.find('g').state.instances])
      autoScaling.machineRunning(instanceId);
  };
  const refuse = (count: number) => {
    refusals = count;
  };
  return { clock, events, ended, autoScaling, call, states, run, refuse };
}

const onGroup = (more: object = {}) => ({ AutoScalingGroupName: 'g', ...more });

describe('SetDesiredCapacity', () => {
  test.each([
    [5, 'New SetDesiredCapacity value 5 is above max value 4 for the AutoScalingGroup.'],
    [0, 'New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.'],
  ])('to %i is refused', (DesiredCapacity, message) => {
    const { call } = given();

    expect(() => call('SetDesiredCapacity', onGroup({ DesiredCapacity }))).toThrow(message);
  });

  test('is absolute: repeating it launches nothing more', () => {
    const { call, states } = given();

    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));
    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));

    expect(states()).toHaveLength(3);
  });

  test('honours the cooldown only when asked to', () => {
    const { call, clock } = given();
    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));

    const honouring = () => call('SetDesiredCapacity', onGroup({ DesiredCapacity: 4, HonorCooldown: true }));
    expect(honouring).toThrow(expect.objectContaining({ code: 'ScalingActivityInProgress' }));
    clock.pass(300_000);

    expect(honouring).not.toThrow();
  });
});

describe('UpdateAutoScalingGroup', () => {
  test('moves the desired capacity into new bounds', () => {
    const { call, autoScaling } = given();

    call('UpdateAutoScalingGroup', onGroup({ MinSize: 3 }));
    expect(autoScaling.find('g').state.desiredCapacity).toBe(3);
    call('UpdateAutoScalingGroup', onGroup({ MinSize: 0, MaxSize: 1 }));

    expect(autoScaling.find('g').state.desiredCapacity).toBe(1);
  });

  test.each([
    [{ MinSize: 9 }, 'Max bound, 4, must be greater than or equal to min bound, 9'],
    [{ DesiredCapacity: 9 }, 'Desired capacity:9 must be between the specified min size:1 and max size:4'],
  ])('%j is refused', (input, message) => {
    const { call } = given();

    expect(() => call('UpdateAutoScalingGroup', onGroup(input))).toThrow(message);
  });
});

describe('a refresh with a desired configuration', () => {
  const LaunchTemplate = { LaunchTemplateName: 'node', Version: '2' };
  const refused =
    'An active instance refresh with a desired configuration exists. All configuration options derived from the desired configuration are not available for update while the instance refresh is active.';

  function refreshed() {
    const { call, run, autoScaling } = given([]);
    run();
    call('StartInstanceRefresh', onGroup({ DesiredConfiguration: { LaunchTemplate } }));
    const configured = () => autoScaling.find('g').state.configuration.launchTemplate.Version;
    return { call, autoScaling, configured };
  }

  test.each(['1', '2'])('lets nobody give the group version %s of the template meanwhile', (Version) => {
    const { call, configured } = refreshed();
    const update = () =>
      call('UpdateAutoScalingGroup', onGroup({ LaunchTemplate: { ...LaunchTemplate, Version } }));

    expect(update).toThrow(expect.objectContaining({ code: 'ValidationError', message: refused }));
    expect(configured()).toBe('1');
  });

  test('lets the size be changed meanwhile', () => {
    const { call, autoScaling } = refreshed();

    call('UpdateAutoScalingGroup', onGroup({ MinSize: 3 }));

    expect(autoScaling.find('g').state.desiredCapacity).toBe(3);
  });

  test('says what it brings, and the group what it was before', async () => {
    const { call, configured } = refreshed();

    const { InstanceRefreshes } = (await call('DescribeInstanceRefreshes', onGroup())) as {
      InstanceRefreshes: unknown[];
    };

    expect(InstanceRefreshes).toMatchObject([{ DesiredConfiguration: { LaunchTemplate: template(2) } }]);
    expect(configured()).toBe('1');
  });

  test('without one there is nothing to roll back to', () => {
    const { call } = given();

    expect(() => call('StartInstanceRefresh', onGroup({ Preferences: { AutoRollback: true } }))).toThrow(
      'The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty.',
    );
  });
});

describe('timers', () => {
  test.each([0, 1, 3])(
    'a hook that nobody answers times out by itself, the clock ticking by %i',
    (tickMs) => {
      const { clock, states, run } = given(
        [hook('launch', 'LAUNCHING', { DefaultResult: 'CONTINUE' })],
        tickMs,
      );
      run();
      expect(states()).toEqual(['Pending:Wait', 'Pending:Wait']);

      // Ten times as fast as AWS, 300 s are 30: too few for a node to start in on a busy machine.
      clock.pass(310_000);
      expect(states()).toEqual(['Pending:Wait', 'Pending:Wait']);
      clock.pass(150_000);

      expect(states()).toEqual(['InService', 'InService']);
    },
  );

  test.each([0, 1, 3])('a machine that is gone is noticed, the clock ticking by %i', (tickMs) => {
    const { clock, autoScaling, run, ended } = given([], tickMs);
    run();

    autoScaling.machineGone('i-1');
    clock.pass(70_000);

    expect(ended).toEqual(['i-1']);
    expect(autoScaling.find('g').find('i-3')).toBeDefined();
  });

  test('a refused launch is tried again after its pause', () => {
    const { call, clock, states, refuse } = given();
    refuse(1);
    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));
    expect(states()).toHaveLength(2);

    clock.pass(16_000);

    expect(states()).toHaveLength(3);
  });
});

describe('health', () => {
  test('an instance reported unhealthy is replaced, after the grace period unless told otherwise', () => {
    const { call, autoScaling, run } = given([hook('terminate', 'TERMINATING')]);
    call('UpdateAutoScalingGroup', onGroup({ HealthCheckGracePeriod: 600 }));
    run();
    const stateOf = (id: string) => autoScaling.find('g').find(id)?.lifecycleState;

    call('SetInstanceHealth', { InstanceId: 'i-1', HealthStatus: 'Unhealthy' });
    expect(stateOf('i-1')).toBe('InService');
    call('SetInstanceHealth', {
      InstanceId: 'i-1',
      HealthStatus: 'Unhealthy',
      ShouldRespectGracePeriod: false,
    });

    expect(stateOf('i-1')).toBe('Terminating:Wait');
    expect(stateOf('i-3')).toBe('Pending');
  });

  test('suspended processes stand still until they are resumed', () => {
    const { call, states, run } = given([]);
    run();
    call('SuspendProcesses', onGroup({ ScalingProcesses: ['Launch'] }));
    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));
    expect(states()).toHaveLength(2);

    call('ResumeProcesses', onGroup());

    expect(states()).toHaveLength(3);
  });
});

describe('hooks', () => {
  test('complete and heartbeat by token as by instance', () => {
    const { call, events, run, states } = given([hook('launch', 'LAUNCHING')]);
    run();
    const LifecycleActionToken = events[0]?.detail['LifecycleActionToken'];
    const action = onGroup({ LifecycleHookName: 'launch', LifecycleActionToken });

    call('RecordLifecycleActionHeartbeat', action);
    call('CompleteLifecycleAction', { ...action, LifecycleActionResult: 'CONTINUE' });

    expect(states().sort()).toEqual(['InService', 'Pending:Wait']);
    expect(() => call('RecordLifecycleActionHeartbeat', action)).toThrow(
      `No active Lifecycle Action found with token ${LifecycleActionToken}`,
    );
  });

  test('deleting a terminate hook lets its instances go', () => {
    const { call, run, ended } = given([hook('terminate', 'TERMINATING')]);
    run();
    call('SetDesiredCapacity', onGroup({ DesiredCapacity: 1 }));

    call('DeleteLifecycleHook', onGroup({ LifecycleHookName: 'terminate' }));

    expect(ended).toEqual(['i-1']);
  });

  test.each([29, 7201])('a heartbeat timeout of %i seconds is refused', (HeartbeatTimeout) => {
    const { call } = given();
    const input = onGroup(hook('x', 'LAUNCHING', { HeartbeatTimeout }));

    expect(() => call('PutLifecycleHook', input)).toThrow(
      expect.objectContaining({ code: 'ValidationError' }),
    );
  });
});

describe('DeleteAutoScalingGroup', () => {
  test('refuses while instances are there, and with force ends them without hooks', () => {
    const { call, run, ended, autoScaling } = given();
    run();
    expect(() => call('DeleteAutoScalingGroup', onGroup())).toThrow(
      expect.objectContaining({ code: 'ResourceInUse' }),
    );

    call('DeleteAutoScalingGroup', onGroup({ ForceDelete: true }));
    expect(ended).toEqual(['i-1', 'i-2']);
    for (const id of ended) autoScaling.machineGone(id);

    expect(autoScaling.list()).toEqual([]);
  });
});

test('a state that was exported as JSON goes on where it was', () => {
  const { autoScaling, run, call } = given();
  run();
  call('SetDesiredCapacity', onGroup({ DesiredCapacity: 3 }));

  const state = JSON.parse(JSON.stringify(autoScaling.exportState()));

  expect(state).toHaveLength(1);
  expect(state[0].instances.map(({ lifecycleState }: { lifecycleState: string }) => lifecycleState)).toEqual([
    'Pending:Wait',
    'Pending:Wait',
    'Pending',
  ]);
});
