import { StoredFiles } from '../../bench/growth/stored-files.ts';
import { hashName } from '../../domain/file-key.ts';
import { REPLICA_COUNT } from '../../domain/file-record.ts';
import { activateRing } from '../../domain/genesis.ts';
import type { Identifier } from '../../domain/identifier.ts';
import {
  type MemberRecord,
  type MemberState,
  memberKey,
  transition,
  usageAttribute,
} from '../../domain/member-record.ts';
import { announceActivation } from '../../domain/ring-meta.ts';
import { type PlacedMember, servingRing } from '../../domain/serving-ring.ts';
import { update } from '../../domain/table-writes.ts';
import { alarmEvent, asgResultEvent, launchEvent } from '../../functions/events.ts';
import { onAlarm } from '../../functions/on-alarm.ts';
import { onAsgResult } from '../../functions/on-asg-result.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { measureUsage } from '../../node/usage.ts';
import { activity, alarm, lifecycle } from './aws-events.ts';
import { TestPlane } from './test-plane.ts';

const MINUTE_MS = 60_000;
/** From a machine's launch to its first request to join, and from there to holding its arc. */
const BOOT_MINUTES = 1;
const TRANSFER_MINUTES = 1;
/** What a member handed over lies on its disk for this long. */
const DROP_MINUTES = 2;
/** Of the index and the file system, beside the files. */
const OVERHEAD = 1.03;

/**
 * A group that runs for simulated minutes: real handlers, simulated machines that boot, join, take
 * over and report as nodes do, a disk alarm that looks at what lies on their disks two minutes out of three.
 */
export class GrowingPlane {
  readonly plane: TestPlane;
  readonly files = new StoredFiles();
  readonly capacityBytes: number;
  /** How many of the next launches fail for want of capacity. */
  failLaunches = 0;
  /** Alarm events that reach the function: 0 is a lost event, 3 a tripled one. */
  alarmCopies = 1;
  minute = 0;
  readonly #minutesOf = new Map<string, number>();
  readonly #history = new Map<string, number[]>();
  readonly #above: boolean[] = [];
  #launchCount = 0;
  #fileCount = 0;

  constructor(options: { readonly maxSize: number; readonly capacityBytes: number }) {
    this.plane = new TestPlane();
    this.plane.group.view.maxSize = options.maxSize;
    this.capacityBytes = options.capacityBytes;
  }

  /** Forms a ring of `count` members and lets it settle. */
  async start(count: number): Promise<void> {
    this.plane.group.view.desiredCapacity = count;
    for (let minute = 0; minute < 30 && (await this.active()).length < count; minute++) await this.pass();
    this.plane.bus.events.length = 0;
  }

  upload(bytes: number, fileBytes = this.capacityBytes / 500): void {
    for (let sent = 0; sent < bytes; sent += fileBytes)
      this.files.add(hashName(`file ${this.#fileCount++}`), fileBytes);
  }

  async active(): Promise<readonly PlacedMember[]> {
    const { ringId } = await this.plane.meta();
    return servingRing(await this.plane.members(), ringId).filter(({ state }) => state === 'ACTIVE');
  }

  /** One minute of everything. */
  async pass(): Promise<void> {
    this.minute += 1;
    this.plane.nowMs += MINUTE_MS;
    await this.#launch();
    for (const member of await this.plane.members()) await this.#advance(member);
    await this.#report();
    await this.#evaluateAlarm();
    await reconcile(this.plane.dependencies())({ 'detail-type': 'Scheduled Event' });
  }

  /** Lines as `chordfs log` has them, without the time. */
  story(): string[] {
    return this.plane.bus.events
      .filter(({ detailType }) => detailType.startsWith('Scale'))
      .map(({ detailType, detail }) => `${detailType}: ${detail.cause}`);
  }

  async #launch(): Promise<void> {
    const { view } = this.plane.group;
    while (view.instances.length < view.desiredCapacity) {
      if (this.failLaunches > 0) {
        this.failLaunches -= 1;
        const failed = activity('EC2 Instance Launch Unsuccessful', '', {
          StatusMessage: 'We currently do not have sufficient t4g.micro capacity',
          ActivityId: `failed-${this.minute}`,
        });
        await onAsgResult(this.plane.dependencies())(asgResultEvent.parse(failed));
        return;
      }
      const instanceId = `i-${this.#launchCount++}`;
      view.instances = [...view.instances, { instanceId, lifecycleState: 'Pending:Wait' }];
      this.#minutesOf.set(instanceId, this.minute);
      await onLaunch(this.plane.dependencies())(launchEvent.parse(lifecycle('launch', instanceId)));
    }
  }

  async #advance({ instanceId, state, role, ringId = '', epoch }: MemberRecord): Promise<void> {
    const { stage, store, nowMs } = this.plane;
    const age = this.minute - (this.#minutesOf.get(instanceId) ?? 0);
    const become = (to: MemberState) => store.write(transition({ stage, instanceId, to, nowMs }));
    if (state === 'ASSIGNED' && age >= BOOT_MINUTES) await become('JOINING');
    if (state !== 'JOINING' || age < BOOT_MINUTES + TRANSFER_MINUTES) return;
    const event = {
      id: `created-${epoch}`,
      source: 'chordfs.node',
      detailType: 'Ring Created',
      atMs: nowMs,
    } as const;
    const detail = { stage, ringId, epoch, cause: 'formed', correlationId: ringId, before: {}, after: {} };
    await store.write(
      role === 'creator'
        ? activateRing({ stage, instanceId, ringId, epoch, event: { ...event, detail } })
        : announceActivation(stage, { ringId, epoch }),
    );
    await become('ACTIVE');
    const { view } = this.plane.group;
    view.instances = view.instances.map((instance) =>
      instance.instanceId === instanceId ? { instanceId, lifecycleState: 'InService' } : instance,
    );
  }

  /** Heartbeats, measured as nodes measure them. */
  async #report(): Promise<void> {
    const { stage, store, nowMs } = this.plane;
    const ring = await this.active();
    const members = ring.map(ringMember);
    for (const [index, member] of ring.entries()) {
      const usedBytes = this.#onDisk(member.instanceId, this.#stored(ring, index));
      const digestOf = (arc: { readonly from: Identifier; readonly to: Identifier }) => ({
        ...this.files.inArc(arc),
        hash: '',
      });
      const usage = measureUsage(
        {
          usage: () => ({ usedBytes, capacityBytes: this.capacityBytes, fileCount: 0 }),
          digestRecords: digestOf,
          digestChunks: digestOf,
        },
        { version: 1, ringId: '', self: ringMember(member), members },
      );
      await store.write(
        update(
          memberKey(stage, member.instanceId),
          { set: { heartbeatMs: nowMs, usage: usageAttribute(usage) } },
          [{ attribute: 'pk', is: 'present' }],
        ),
      );
    }
  }

  #stored(ring: readonly PlacedMember[], index: number): number {
    let bytes = 0;
    for (let back = 0; back < Math.min(REPLICA_COUNT, ring.length); back++) {
      const to = ring.at(index - back)?.position;
      const from = ring.at(index - back - 1)?.position;
      if (to !== undefined && from !== undefined) bytes += this.files.inArc({ from, to }).sizeBytes;
    }
    return bytes;
  }

  #onDisk(instanceId: string, storedBytes: number): number {
    const history = [...(this.#history.get(instanceId) ?? []), storedBytes].slice(-1 - DROP_MINUTES);
    this.#history.set(instanceId, history);
    return Math.max(...history) * OVERHEAD;
  }

  /** Maximum over the group, two datapoints of three, as the template has it. */
  async #evaluateAlarm(): Promise<void> {
    const members = await this.active();
    const fullest = Math.max(0, ...members.map(({ usage }) => usage?.usedBytes ?? 0)) / this.capacityBytes;
    this.#above.push(100 * fullest >= this.plane.dependencies().thresholdPercent);
    const isAlarming = this.#above.slice(-3).filter(Boolean).length >= 2;
    if (isAlarming === this.plane.isAlarming) return;
    this.plane.isAlarming = isAlarming;
    this.plane.alarmSinceMs = this.plane.nowMs;
    if (!isAlarming) return;
    const event = alarmEvent.parse(alarm('ALARM', new Date(this.plane.nowMs).toISOString()));
    const handle = onAlarm({ ...this.plane.dependencies(), diskAlarmName: 'disk' });
    await Promise.all(Array.from({ length: this.alarmCopies }, () => handle(event)));
  }
}

function ringMember({ instanceId, position }: PlacedMember) {
  const place = { id: position, instanceId, incarnation: 1, phase: 'active' as const, availabilityZone: '' };
  return { ...place, privateIp: '127.25.0.1', publicIp: '127.25.0.1', chordPort: 5057, httpPort: 5058 };
}
