import { type CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';

export interface DiskAlarm {
  /** Whether the alarm is in ALARM now, and since when (ms since the epoch). */
  state(): Promise<{ readonly isAlarming: boolean; readonly sinceMs: number }>;
}

export function diskAlarm(client: CloudWatchClient, alarmName: string): DiskAlarm {
  return {
    async state() {
      const { MetricAlarms = [] } = await client.send(new DescribeAlarmsCommand({ AlarmNames: [alarmName] }));
      const alarm = MetricAlarms[0];
      return {
        isAlarming: alarm?.StateValue === 'ALARM',
        sinceMs: (alarm?.StateTransitionedTimestamp ?? alarm?.StateUpdatedTimestamp)?.getTime() ?? 0,
      };
    },
  };
}
