import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countsAsCapacity } from '../../local/auto-scaling/group-state.ts';
import { GroupSimulation, hook } from './group-simulation.ts';

const LAUNCH = hook('launch', 'LAUNCHING');
const TERMINATE = hook('terminate', 'TERMINATING');

/** The states AWS's diagram allows after each, for instances that nobody attaches or detaches. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  Pending: ['Pending:Wait', 'Pending:Proceed', 'Terminating'],
  'Pending:Wait': ['Pending:Proceed', 'Terminating'],
  'Pending:Proceed': ['InService'],
  InService: ['Terminating'],
  Terminating: ['Terminating:Wait', 'Terminating:Proceed'],
  'Terminating:Wait': ['Terminating:Proceed', 'Terminating:Retained'],
  'Terminating:Retained': ['Terminating:Proceed', 'Terminated'],
  'Terminating:Proceed': ['Terminated'],
  Terminated: [],
};

type Move =
  | { readonly kind: 'scale'; readonly to: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'complete'; readonly pick: number; readonly result: 'CONTINUE' | 'ABANDON' }
  | { readonly kind: 'crash' | 'unhealthy' | 'settle' | 'fail' | 'beat'; readonly pick: number };

const pick = fc.nat({ max: 20 });
const moves: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ kind: fc.constant('scale' as const), to: fc.nat({ max: 5 }) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 1_000, 60_000, 299_999, 400_000) }),
  fc.record({
    kind: fc.constant('complete' as const),
    pick,
    result: fc.constantFrom('CONTINUE' as const, 'ABANDON' as const),
  }),
  fc.record({ kind: fc.constantFrom('crash', 'unhealthy', 'settle', 'fail', 'beat'), pick }),
);

function applyToInstance(simulation: GroupSimulation, move: Extract<Move, { readonly pick: number }>): void {
  const { instances } = simulation.state;
  const instance = instances[move.pick % Math.max(1, instances.length)];
  if (instance === undefined) return;
  const { instanceId, actions } = instance;
  const hookName = actions[0]?.hookName;
  if (move.kind === 'crash') simulation.group.machineGone(instanceId);
  else if (move.kind === 'unhealthy') instance.healthStatus = 'Unhealthy';
  else if (hookName !== undefined && move.kind === 'beat') simulation.heartbeat(instanceId, hookName);
  else if (hookName !== undefined && 'result' in move) simulation.complete(instanceId, hookName, move.result);
  simulation.group.advance();
}

function apply(simulation: GroupSimulation, move: Move): void {
  if (move.kind === 'scale') {
    simulation.group.setDesiredCapacity(move.to, 'At T a user request did it.');
    simulation.group.advance();
  } else if (move.kind === 'pass') simulation.pass(move.ms);
  else if (move.kind === 'settle') simulation.settle();
  else if (move.kind === 'fail') simulation.failingLaunches = move.pick % 3;
  else applyToInstance(simulation, move);
}

/** Everybody does their part until nothing is left to do. */
function calmDown(simulation: GroupSimulation): void {
  simulation.failingLaunches = 0;
  for (let i = 0; i < 60; i++) {
    simulation.settle();
    for (const { instanceId, actions } of [...simulation.state.instances]) {
      for (const { hookName } of actions) simulation.complete(instanceId, hookName);
    }
    simulation.pass(60_000);
  }
}

describe('whatever happens', () => {
  const hooks = fc.subarray([LAUNCH, hook('second', 'LAUNCHING', { DefaultResult: 'CONTINUE' }), TERMINATE]);

  test('instances move along the lifecycle diagram, and actions are open only while they wait', () => {
    fc.assert(
      fc.property(hooks, fc.boolean(), fc.array(moves, { maxLength: 60 }), (chosen, retains, sequence) => {
        const simulation = new GroupSimulation({ hooks: chosen });
        simulation.state.configuration.terminateHookAbandon = retains ? 'retain' : 'terminate';

        for (const move of sequence) {
          apply(simulation, move);
          for (const { lifecycleState, actions } of simulation.state.instances) {
            expect(actions.length > 0).toBe(lifecycleState.endsWith(':Wait'));
          }
        }

        for (const states of simulation.history.values()) {
          for (const [i, state] of states.slice(1).entries()) expect(NEXT[states[i] ?? '']).toContain(state);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the group reaches its desired capacity once everybody does their part', () => {
    fc.assert(
      fc.property(
        hooks,
        fc.nat({ max: 2 }),
        fc.array(moves, { maxLength: 40 }),
        (chosen, tickMs, sequence) => {
          const simulation = new GroupSimulation({ hooks: chosen });
          simulation.tickMs = tickMs;
          for (const move of sequence) apply(simulation, move);

          calmDown(simulation);

          expect(simulation.inState('InService')).toHaveLength(simulation.state.desiredCapacity);
          expect(simulation.state.instances.filter(countsAsCapacity)).toHaveLength(
            simulation.state.desiredCapacity,
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test('every launch and every termination is reported exactly once', () => {
    fc.assert(
      fc.property(hooks, fc.array(moves, { maxLength: 40 }), (chosen, sequence) => {
        const simulation = new GroupSimulation({ hooks: chosen });
        for (const move of sequence) apply(simulation, move);
        calmDown(simulation);

        for (const { activityId, status } of simulation.state.activities) {
          const reports = simulation.events.filter(({ detail }) => detail['ActivityId'] === activityId);
          expect(reports).toHaveLength(1);
          expect(reports[0]?.detail['StatusCode']).toBe(status === 'Successful' ? 'InProgress' : 'Failed');
        }
      }),
      { numRuns: 200 },
    );
  });
});
