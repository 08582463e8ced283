import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import type { LocalCloud } from '../../local/local-cloud.ts';

const LOOK_EVERY_MS = 250;

/** How large the group was meant to be, from when on; ms since the watch began. */
interface Size {
  readonly atMs: number;
  readonly count: number;
}

/** Looks at the disk alarm and at the group's size all the time, as an operator with great patience would. */
export class AlarmWatch {
  readonly sizes: Size[] = [];
  readonly #client: CloudWatchClient;
  readonly #alarmName: string;
  readonly #cloud: LocalCloud;
  readonly #startedMs = performance.now();
  readonly #running: Promise<void>;
  #lastMs = performance.now();
  #alarmingMs = 0;
  #isAlarming = false;
  #isOver = false;

  constructor(cloud: LocalCloud) {
    const { endpoint, region } = cloud;
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    this.#client = new CloudWatchClient({ endpoint, region, credentials });
    this.#cloud = cloud;
    this.#alarmName = `${cloud.autoScalingGroupName}-disk`;
    this.#running = this.#run();
  }

  get isAlarming(): boolean {
    return this.#isAlarming;
  }

  /** For how long it has been in ALARM, all times together. */
  get alarmingMs(): number {
    return this.#alarmingMs;
  }

  get passedMs(): number {
    return performance.now() - this.#startedMs;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    this.#client.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { MetricAlarms = [] } = await this.#client.send(
        new DescribeAlarmsCommand({ AlarmNames: [this.#alarmName] }),
      );
      const nowMs = performance.now();
      if (this.#isAlarming) this.#alarmingMs += nowMs - this.#lastMs;
      this.#lastMs = nowMs;
      this.#isAlarming = MetricAlarms[0]?.StateValue === 'ALARM';
      const count = this.#cloud.compute.instances().length;
      if (count !== this.sizes.at(-1)?.count) this.sizes.push({ atMs: this.passedMs, count });
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}
