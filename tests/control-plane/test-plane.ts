import { MemoryItemStore } from '../../bench/genesis/memory-item-store.ts';
import { formatIdentifier, identifier } from '../../domain/identifier.ts';
import {
  type MemberRecord,
  type MemberState,
  memberKey,
  parseMember,
  usageAttribute,
} from '../../domain/member-record.ts';
import { metaKey, parseMeta, type RingMeta } from '../../domain/ring-meta.ts';
import { deathsKey } from '../../domain/ring-registry.ts';
import {
  EVENT_SOURCES,
  type EventSink,
  type EventSource,
  type ScalingEvent,
} from '../../domain/scaling-log.ts';
import { servingRing } from '../../domain/serving-ring.ts';
import {
  type Attribute,
  type ItemStore,
  NODE_PREFIX,
  ringPartition,
  update,
} from '../../domain/table-writes.ts';
import { timing } from '../../domain/timing.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import type { Dependencies } from '../../functions/reconcile.ts';
import { FakeGroup, FakeInstances } from './fake-group.ts';
import { newStage, type TestTable } from './member-table.ts';

/** The stage's bus: keeps what it accepted; away when told so. Refuses what the sender's role does not allow. */
export class FakeBus implements EventSink {
  readonly events: ScalingEvent[] = [];
  isAway = false;

  readonly sources: readonly EventSource[];

  /** @param sources Default: those of a function. */
  constructor(sources: readonly EventSource[] = EVENT_SOURCES) {
    this.sources = sources;
  }

  async put(event: ScalingEvent): Promise<void> {
    await Promise.resolve();
    if (this.isAway) throw new Error('bus away');
    if (!this.sources.includes(event.source)) throw new Error('AccessDenied');
    this.events.push(event);
  }

  types(): string[] {
    return this.events.map(({ detailType }) => detailType);
  }
}

/** A stage of its own with the real table adapter, a clock that tests move, and fakes for the rest of AWS. */
export class TestPlane {
  readonly stage = newStage();
  readonly store: ItemStore;
  readonly bus = new FakeBus();
  readonly group = new FakeGroup();
  readonly instances = new FakeInstances();
  readonly timing = timing(1);
  isAlarming = false;
  alarmSinceMs = 1;
  isScaleInOn = false;
  /** What the reconciler has put as drift, minute by minute. */
  readonly drift: number[] = [];
  nowMs = Date.UTC(2026, 0, 1, 12);
  private ringCount = 0;

  /** @param table Default: one in memory, for tests of hours in which nothing about the table itself is in question. */
  constructor(table?: TestTable) {
    this.store =
      table === undefined ? new MemoryItemStore() : dynamodbItemStore(table.client, table.tableName);
  }

  dependencies(): Dependencies {
    return {
      stage: this.stage,
      timing: this.timing,
      store: this.store,
      bus: this.bus,
      group: this.group,
      instances: this.instances,
      alarm: { state: () => Promise.resolve({ isAlarming: this.isAlarming, sinceMs: this.alarmSinceMs }) },
      thresholdPercent: 70,
      isScaleInOn: this.isScaleInOn,
      metrics: {
        putDrift: (findings) => {
          this.drift.push(findings);
          return Promise.resolve();
        },
      },
      launchHook: 'launch',
      terminateHook: 'terminate',
      now: () => this.nowMs,
      newRingId: () => {
        this.ringCount += 1;
        return `ring-${this.ringCount}`;
      },
      wait: () => Promise.resolve(),
    };
  }

  async meta(): Promise<RingMeta> {
    return parseMeta(await this.store.get(metaKey(this.stage)));
  }

  async member(instanceId: string): Promise<MemberRecord | undefined> {
    const item = await this.store.get(memberKey(this.stage, instanceId));
    return item === undefined ? undefined : parseMember(item);
  }

  async members(): Promise<readonly MemberRecord[]> {
    const items = await this.store.list(ringPartition(this.stage), NODE_PREFIX);
    return items.flatMap((item) => parseMember(item) ?? []);
  }

  /** Puts a ring `ring-0` of epoch 1 into the table. */
  async putRing(set: Readonly<Record<string, Attribute>> = {}): Promise<void> {
    await this.store.write(
      update(
        metaKey(this.stage),
        { set: { status: 'ACTIVE', ringId: 'ring-0', epoch: 1, version: 1, creator: 'i-1', ...set } },
        [{ attribute: 'never', is: 'absent' }],
      ),
    );
  }

  /**
   * Lets every serving member report the ring as the table has it, its bytes spread evenly over its arc: what real
   * nodes do within a heartbeat of any change.
   */
  async reportRing(): Promise<void> {
    const ring = servingRing(await this.members(), 'ring-0');
    for (const [index, { instanceId, position, usage }] of ring.entries()) {
      if (usage === undefined) continue;
      const predecessorId = ring.at(index - 1)?.position;
      const successorId = ring[(index + 1) % ring.length]?.position;
      const bytes = usage.arcWeights.reduce((sum, weight) => sum + weight.bytes, 0);
      const report = { ...usage, predecessorId, successorId, arcWeights: [{ upTo: position, bytes }] };
      await this.store.write(
        update(
          memberKey(this.stage, instanceId),
          { set: { usage: usageAttribute(report), heartbeatMs: this.nowMs } },
          [{ attribute: 'pk', is: 'present' }],
        ),
      );
    }
  }

  /** Puts a member into the table and its instance into the group. */
  async putMember(
    instanceId: string,
    options: {
      readonly state?: MemberState;
      readonly lifecycleState?: string;
      readonly usedPercent?: number;
      /** Primary bytes in its own arc; default: half of what it stores. */
      readonly ownPercent?: number;
      readonly set?: Readonly<Record<string, Attribute>>;
    } = {},
  ): Promise<void> {
    const { state = 'ACTIVE', lifecycleState = 'InService', usedPercent, set = {} } = options;
    const ownPercent = options.ownPercent ?? (usedPercent ?? 0) / 2;
    this.group.view.instances = [...this.group.view.instances, { instanceId, lifecycleState }];
    const position = identifier(Number(instanceId.slice(2)) * 0x10000000);
    const usage =
      usedPercent === undefined
        ? {}
        : {
            usage: usageAttribute({
              usedBytes: usedPercent * 1000,
              capacityBytes: 100_000,
              fileCount: 1,
              predecessorId: undefined,
              successorId: undefined,
              arcWeights: [{ upTo: position, bytes: ownPercent * 1000 }],
            }),
          };
    await this.store.write(
      update(
        memberKey(this.stage, instanceId),
        {
          set: {
            state,
            ringId: 'ring-0',
            epoch: 1,
            role: 'joiner',
            position: formatIdentifier(position),
            privateIp: '127.25.0.1',
            stateMs: this.nowMs,
            heartbeatMs: this.nowMs,
            ...usage,
            ...set,
          },
        },
        [{ attribute: 'never', is: 'absent' }],
      ),
    );
  }

  /** The member's node reports now. */
  async beat(instanceId: string): Promise<void> {
    const key = memberKey(this.stage, instanceId);
    await this.store.write(
      update(key, { set: { heartbeatMs: this.nowMs } }, [{ attribute: 'pk', is: 'present' }]),
    );
  }

  /** The ring has agreed that this member's present life is over. */
  async putDeath(instanceId: string): Promise<void> {
    const key = deathsKey(this.stage, 'ring-0');
    await this.store.write(update(key, { set: { [instanceId]: 0 } }, [{ attribute: 'never', is: 'absent' }]));
  }
}
