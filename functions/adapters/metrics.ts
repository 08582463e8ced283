import { type CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';

export interface Metrics {
  /** How many things the reconciler found apart this minute. Zero is said too: silence means that it does not run. */
  putDrift(findings: number): Promise<void>;
}

export function stageMetrics(
  client: CloudWatchClient,
  { stage, metricNamespace }: { readonly stage: string; readonly metricNamespace: string },
): Metrics {
  return {
    async putDrift(findings) {
      await client.send(
        new PutMetricDataCommand({
          Namespace: metricNamespace,
          MetricData: [
            {
              MetricName: 'MemberDrift',
              Dimensions: [{ Name: 'Stage', Value: stage }],
              Value: findings,
              Unit: 'Count',
            },
          ],
        }),
      );
    },
  };
}
