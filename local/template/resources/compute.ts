import type { Compute } from '../../compute.ts';
import { generatedName, type ResourceHandlers } from '../resource-handler.ts';

/**
 * @param earlier The properties that a resource had at the last deploy onto the same state, by logical id.
 * @param startInstances Brings the instances of an earlier life back.
 */
export function computeResources(
  compute: Compute,
  earlier: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  startInstances: () => Promise<void>,
): ResourceHandlers {
  return {
    'AWS::EC2::LaunchTemplate'(request) {
      const LaunchTemplateName = request.properties['LaunchTemplateName'] ?? generatedName(request);
      const template = compute.putLaunchTemplate(request.logicalId, {
        ...request.properties,
        LaunchTemplateName,
      });
      const { launchTemplateId, latestVersionNumber, defaultVersionNumber } = template;
      return {
        ref: launchTemplateId,
        attributes: {
          LaunchTemplateId: launchTemplateId,
          LatestVersionNumber: latestVersionNumber,
          DefaultVersionNumber: defaultVersionNumber,
        },
        delete: () => compute.deleteLaunchTemplate(launchTemplateId),
      };
    },
    async 'AWS::AutoScaling::AutoScalingGroup'(request) {
      const { DesiredCapacity, ...others } = request.properties;
      // CloudFormation updates what changed in the template. A group that has grown since keeps its size when
      // the template is deployed again as it was.
      // By now all that the group depends on exists: the instances of an earlier life may come back.
      await startInstances();
      const isUnchanged = earlier[request.logicalId]?.['DesiredCapacity'] === DesiredCapacity;
      const properties = isUnchanged ? others : request.properties;
      const AutoScalingGroupName = properties['AutoScalingGroupName'] ?? generatedName(request);
      const group = await compute.putAutoScalingGroup(request.logicalId, {
        ...properties,
        AutoScalingGroupName,
      });
      return {
        ref: group.autoScalingGroupName,
        attributes: { AutoScalingGroupARN: group.autoScalingGroupArn },
        delete: () => compute.deleteAutoScalingGroup(group.autoScalingGroupName),
      };
    },
  };
}
