import {
  type Activity,
  AutoScalingClient,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
  SetInstanceHealthCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { marshall } from '@aws-sdk/util-dynamodb';
import { type MemberRecord, parseMember } from '../../domain/member-record.ts';
import { parseMeta, type RingMeta } from '../../domain/ring-meta.ts';
import type { ItemKey } from '../../domain/table-writes.ts';
import type { CloudEvent } from '../../local/cloud.ts';
import type { StartOptions } from '../../local/up.ts';
import { startTestCloud, type TestCloud } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';

const CREDENTIALS = { accessKeyId: 'any', secretAccessKey: 'any' };
/** The machine may be busy with other things: what a case waits for comes within this, or not at all. */
export const PATIENCE_MS = 120_000;

/** A local cloud as the cases drive it: real handlers, real node processes, faults at hand. */
export class CaseCloud {
  readonly test: TestCloud;
  readonly #autoScaling: AutoScalingClient;
  readonly #ec2: EC2Client;
  readonly #table: DynamoDBClient;

  private constructor(test: TestCloud) {
    this.test = test;
    const { endpoint, region } = test.cloud;
    this.#autoScaling = new AutoScalingClient({ endpoint, region, credentials: CREDENTIALS });
    this.#ec2 = new EC2Client({ endpoint, region, credentials: CREDENTIALS });
    this.#table = new DynamoDBClient({ endpoint, region, credentials: CREDENTIALS });
  }

  static async start(options: Partial<StartOptions>): Promise<CaseCloud> {
    return new CaseCloud(await startTestCloud({ min: 0, max: 6, ...options }));
  }

  get cloud(): TestCloud['cloud'] {
    return this.test.cloud;
  }

  get faults(): TestCloud['cloud']['faults'] {
    return this.cloud.faults;
  }

  get machines(): TestCloud['cloud']['compute']['faults'] {
    return this.cloud.compute.faults;
  }

  async stop(): Promise<void> {
    this.#autoScaling.destroy();
    this.#ec2.destroy();
    this.#table.destroy();
    await this.cloud.stop();
  }

  async setDesired(DesiredCapacity: number): Promise<void> {
    const { autoScalingGroupName: AutoScalingGroupName } = this.cloud;
    await this.#autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity }));
  }

  /** Sets the capacity and waits until as many instances are in service and nothing is on its way. */
  async scaleTo(count: number): Promise<void> {
    await this.setDesired(count);
    await this.test.untilSettled(count, PATIENCE_MS);
  }

  async terminateInGroup(InstanceId: string): Promise<void> {
    const input = { InstanceId, ShouldDecrementDesiredCapacity: true };
    await this.#autoScaling.send(new TerminateInstanceInAutoScalingGroupCommand(input));
  }

  async setUnhealthy(InstanceId: string): Promise<void> {
    await this.#autoScaling.send(
      new SetInstanceHealthCommand({
        InstanceId,
        HealthStatus: 'Unhealthy',
        ShouldRespectGracePeriod: false,
      }),
    );
  }

  async terminateByEc2(instanceId: string): Promise<void> {
    await this.#ec2.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
  }

  /** Of every instance that is not gone, whatever its state. */
  ids(): string[] {
    return this.cloud.compute.instances().map(({ instanceId }) => instanceId);
  }

  lifecycleState(instanceId: string): string | undefined {
    return this.cloud.compute.instances().find((instance) => instance.instanceId === instanceId)
      ?.lifecycleState;
  }

  /** An instance that was not there before, as soon as the group has it. */
  newcomer(known: readonly string[]): Promise<string> {
    return until('a new instance', () => this.ids().find((id) => !known.includes(id)), PATIENCE_MS);
  }

  /** Resolves once the instance is gone and as many are in service again. */
  async untilReplaced(instanceId: string, count: number): Promise<void> {
    await until(
      `${instanceId} is replaced`,
      () => {
        const ids = this.ids();
        return ids.length === count && !ids.includes(instanceId);
      },
      PATIENCE_MS,
    );
    await this.test.untilSettled(count, PATIENCE_MS);
  }

  /** The group's activity history. */
  async activities(): Promise<readonly Activity[]> {
    const { autoScalingGroupName: AutoScalingGroupName } = this.cloud;
    const { Activities = [] } = await this.#autoScaling.send(
      new DescribeScalingActivitiesCommand({ AutoScalingGroupName }),
    );
    return Activities;
  }

  async items(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return await this.cloud.services.dynamoDb.items(this.cloud.tableName);
  }

  /** Makes the table what it was: what has come since is gone. */
  async restore(backup: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    // A table is restored as a whole: nobody meets it half-way.
    const closed = this.faults.throttle(({ service, session }) => service === 'dynamodb' && session !== '');
    for (const { pk, sk } of await this.items()) await this.remove({ pk: String(pk), sk: String(sk) });
    for (const item of backup) await this.put(item);
    closed.end();
  }

  async put(item: Readonly<Record<string, unknown>>): Promise<void> {
    const { tableName: TableName } = this.cloud;
    await this.#table.send(new PutItemCommand({ TableName, Item: marshall(item) }));
  }

  /** One attribute of an item, whatever else is written to it meanwhile. */
  async set({ pk, sk }: ItemKey, attribute: string, value: string | number | boolean): Promise<void> {
    const { tableName: TableName } = this.cloud;
    await this.#table.send(
      new UpdateItemCommand({
        TableName,
        Key: marshall({ pk, sk }),
        UpdateExpression: 'SET #attribute = :value',
        ExpressionAttributeNames: { '#attribute': attribute },
        ExpressionAttributeValues: marshall({ ':value': value }),
      }),
    );
  }

  async remove({ pk, sk }: ItemKey): Promise<void> {
    const { tableName: TableName } = this.cloud;
    await this.#table.send(new DeleteItemCommand({ TableName, Key: marshall({ pk, sk }) }));
  }

  async members(): Promise<readonly MemberRecord[]> {
    return (await this.items()).flatMap((item) => parseMember(item) ?? []);
  }

  async member(instanceId: string): Promise<MemberRecord | undefined> {
    return (await this.members()).find((member) => member.instanceId === instanceId);
  }

  async meta(): Promise<RingMeta> {
    return parseMeta((await this.items()).find(({ sk }) => sk === 'META'));
  }

  untilState(instanceId: string, ...states: string[]): Promise<MemberRecord> {
    return until(
      `${instanceId} is ${states.join(' or ')} in the table`,
      async () => {
        const member = await this.member(instanceId);
        return member !== undefined && states.includes(member.state) && member;
      },
      PATIENCE_MS,
    );
  }

  /** Resolves once the table has exactly the instances in service as ACTIVE members of one ring, and no other alive. */
  async untilTableIsRight(): Promise<void> {
    await until(
      'the table shows the group as it is',
      async () => {
        const [members, meta, nodes] = [await this.members(), await this.meta(), await this.cloud.nodes()];
        const living = members.filter(({ state }) => !['GONE', 'FAILED', 'DEAD'].includes(state));
        const inService = nodes.map(({ instanceId }) => instanceId).sort();
        const isRight =
          meta.status === 'ACTIVE' &&
          living.every(({ state, ringId }) => state === 'ACTIVE' && ringId === meta.ringId) &&
          living
            .map(({ instanceId }) => instanceId)
            .sort()
            .join() === inService.join() &&
          new Set(living.map(({ position }) => position)).size === living.length;
        if (!isRight)
          throw new Error(
            JSON.stringify({ living: living.map((m) => `${m.instanceId} ${m.state}`), inService }),
          );
        return true;
      },
      PATIENCE_MS,
    );
  }

  /** Events of the scaling log, oldest first. */
  log(detailType: string, instanceId?: string): readonly CloudEvent[] {
    return this.test.events.filter(
      (event) =>
        event['detail-type'] === detailType &&
        (instanceId === undefined || event.detail['instanceId'] === instanceId),
    );
  }

  untilLogged(detailType: string, instanceId?: string): Promise<CloudEvent> {
    return until(`${detailType} in the scaling log`, () => this.log(detailType, instanceId)[0], PATIENCE_MS);
  }
}

/** Deliveries of one lifecycle transition's events. */
export const isLifecycleEvent =
  (transition: 'launch' | 'terminate') =>
  ({ event }: { readonly event: Readonly<Record<string, unknown>> }): boolean =>
    event['detail-type'] === `EC2 Instance-${transition} Lifecycle Action`;
