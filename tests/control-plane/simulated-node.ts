import type { ItemStore } from '../../domain/table-writes.ts';
import { timing } from '../../domain/timing.ts';
import { DynamodbItemStore } from '../../node/membership/dynamodb-item-store.ts';
import { HttpInstanceMetadata } from '../../node/membership/instance-metadata.ts';
import type { LifecycleActions } from '../../node/membership/lifecycle-actions.ts';
import { ManagedMembership } from '../../node/membership/managed-membership.ts';
import type { Assignment } from '../../node/membership/membership.ts';
import { FakeMetadata } from './fake-metadata.ts';
import type { TestTable } from './member-table.ts';
import { FakeBus } from './test-plane.ts';

const never = new AbortController().signal;

/** Auto Scaling as one instance sees it. */
export class FakeActions implements LifecycleActions {
  readonly completed: string[] = [];
  heartbeats = 0;
  notYet = 0;
  isAway = false;
  heartbeatFailuresLeft = 0;

  async complete(hookName: string, result: 'CONTINUE' | 'ABANDON'): Promise<'completed' | 'notYet'> {
    await Promise.resolve();
    if (this.isAway) throw new Error('auto scaling away');
    if (this.notYet > 0) {
      this.notYet -= 1;
      return 'notYet';
    }
    this.completed.push(`${hookName} ${result}`);
    return 'completed';
  }

  async heartbeat(): Promise<void> {
    await Promise.resolve();
    if (this.heartbeatFailuresLeft > 0) {
      this.heartbeatFailuresLeft -= 1;
      throw new Error('throttled');
    }
    this.heartbeats += 1;
  }
}

/** As in production, but for what a test would wait for. */
export const FAST = {
  ...timing(1),
  heartbeatMs: 20,
  rowPollFirstMs: 10,
  rowPollLongestMs: 20,
  selfClaimAfterMs: 60,
  completeRetryMs: 10,
  lifecycleHeartbeatMs: 10,
  metadataPollMs: 20,
};

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = AbortSignal.timeout(10_000);
  while (!(await condition())) {
    if (deadline.aborted) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * The node's own membership code against a real table and a metadata service of its own, without ring and files: the
 * way to stop it between two writes.
 */
export class SimulatedNode {
  readonly instanceId: string;
  readonly membership: ManagedMembership;
  readonly metadata: FakeMetadata;
  readonly actions = new FakeActions();
  readonly bus = new FakeBus(['chordfs.node']);

  private constructor(instanceId: string, metadata: FakeMetadata, options: SimulatedNodeOptions) {
    this.instanceId = instanceId;
    this.metadata = metadata;
    const { table, stage, store = new DynamodbItemStore(table.client, table.tableName) } = options;
    this.membership = new ManagedMembership({
      stage,
      launchHook: 'launch',
      terminateHook: 'terminate',
      timing: { ...FAST, ...options.timing },
      log: () => undefined,
      now: options.now ?? Date.now,
      store,
      bus: this.bus,
      metadata: new HttpInstanceMetadata(metadata.endpoint),
      actionsOf: () => options.actions ?? this.actions,
    });
  }

  static async start(instanceId: string, options: SimulatedNodeOptions): Promise<SimulatedNode> {
    const metadata = await FakeMetadata.start();
    metadata.leaves.set('instance-id', instanceId);
    const node = new SimulatedNode(instanceId, metadata, options);
    await node.membership.identify(never);
    return node;
  }

  /** Everything up to being a member. @returns what the place is, or `fenced`. */
  async join(incarnation = 1): Promise<Assignment | 'fenced'> {
    const assignment = await this.membership.awaitAssignment({ signal: never });
    await this.membership.startJoining({ signal: never, incarnation });
    return (await this.membership.becomeActive(never)) === 'active' ? assignment : 'fenced';
  }

  async stop(): Promise<void> {
    this.membership.stop();
    await this.metadata.stop();
  }
}

export interface SimulatedNodeOptions {
  readonly table: TestTable;
  readonly stage: string;
  /** Stands between the node and the table. */
  readonly store?: ItemStore;
  readonly now?: () => number;
  readonly actions?: LifecycleActions;
  readonly timing?: Partial<typeof FAST>;
}
