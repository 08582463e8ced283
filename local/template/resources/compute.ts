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
      const name = String(request.properties['AutoScalingGroupName'] ?? generatedName(request));
      const group = (AutoScalingGroupARN: string) => ({
        ref: name,
        attributes: { AutoScalingGroupARN },
        delete: () => compute.deleteAutoScalingGroup(name),
      });
      const kept = isRestoring() ? compute.autoScalingGroupArn(name) : undefined;
      if (kept !== undefined) return group(kept);
      // As CloudFormation does: an update of the group gives it every property of the template, whether that has
      // changed or not. Only a template that names no DesiredCapacity leaves the size alone.
      const put = await compute.putAutoScalingGroup(request.logicalId, {
        ...request.properties,
        AutoScalingGroupName: name,
      });
      return group(put.autoScalingGroupArn);
    },
  };
}
