import { parseAlarm } from '../../cloud-watch/alarm.ts';
import type { CloudWatch } from '../../cloud-watch/cloud-watch.ts';
import { generatedName, type ResourceHandlers } from '../resource-handler.ts';

export function monitoringResources(cloudWatch: CloudWatch): ResourceHandlers {
  return {
    'AWS::CloudWatch::Alarm'(request) {
      const configuration = parseAlarm({ AlarmName: generatedName(request), ...request.properties });
      const { arn } = cloudWatch.putAlarm(configuration);
      const { name } = configuration;
      return { ref: name, attributes: { Arn: arn }, delete: () => cloudWatch.deleteAlarm(name) };
    },
    // Graphs for people; nothing here draws them.
    'AWS::CloudWatch::Dashboard': (request) => ({ ref: generatedName(request) }),
  };
}
