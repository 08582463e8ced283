import type { Compute } from '../../compute.ts';
import { generatedName, type ResourceHandlers } from '../resource-handler.ts';

/** @param isRestoring Whether the stacks of an earlier life are being taken up: their groups are there already. */
export function computeResources(compute: Compute, isRestoring: () => boolean): ResourceHandlers {
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
      const name = String(request.properties['AutoScalingGroupName'] ?? generatedName(request));
      const group = (AutoScalingGroupARN: string) => ({
        ref: name,
        attributes: { AutoScalingGroupARN },
        delete: () => compute.deleteAutoScalingGroup(name),
      });
      const kept = isRestoring() ? compute.autoScalingGroupArn(name) : undefined;
      if (kept !== undefined) return group(kept);
      // CloudFormation updates what changed in the template: a group that has grown since keeps its size when
      // the template is deployed again as it was.
      const isUnchanged = request.previous?.['DesiredCapacity'] === DesiredCapacity;
      const properties = isUnchanged ? others : request.properties;
      const put = await compute.putAutoScalingGroup(request.logicalId, {
        ...properties,
        AutoScalingGroupName: name,
      });
      return group(put.autoScalingGroupArn);
    },
  };
}
