import { type Ec2, InsufficientCapacity } from '../ec2/ec2.ts';
import { AwsError } from '../service.ts';
import { LaunchFailure, type Machines } from './group.ts';
import type { GroupState, LaunchTemplateReference } from './group-state.ts';

/** Completes a reference by id or name; the version stays as given. @throws AwsError when there is none. */
export function templateReference(
  ec2: Ec2,
  name: {
    readonly LaunchTemplateId?: string | undefined;
    readonly LaunchTemplateName?: string | undefined;
    readonly Version?: string | undefined;
  },
): LaunchTemplateReference {
  const template = ec2.launchTemplates.find(name);
  const Version = name.Version ?? '$Default';
  ec2.launchTemplates.version(template, Version);
  return { LaunchTemplateId: template.launchTemplateId, LaunchTemplateName: template.name, Version };
}

function resolve(ec2: Ec2, reference: LaunchTemplateReference): LaunchTemplateReference {
  const template = ec2.launchTemplates.find(reference);
  const { number } = ec2.launchTemplates.version(template, reference.Version);
  return { ...reference, Version: String(number) };
}

/** The machines of a group, taken from EC2. */
export function ec2Machines(ec2: Ec2): Machines {
  return {
    launch({ name, configuration }: GroupState, template: LaunchTemplateReference) {
      const propagated = configuration.tags.filter(({ PropagateAtLaunch }) => PropagateAtLaunch);
      try {
        const machine = ec2.launch({
          template,
          availabilityZone: configuration.availabilityZones[0] ?? '',
          subnetId: configuration.subnetIds[0] ?? '',
          tags: {
            ...Object.fromEntries(propagated.map(({ Key, Value }) => [Key, Value])),
            'aws:autoscaling:groupName': name,
          },
        });
        return {
          instanceId: machine.instanceId,
          availabilityZone: machine.availabilityZone,
          subnetId: machine.subnetId,
          instanceType: machine.data.InstanceType,
          imageId: machine.data.ImageId,
          launchTemplate: resolve(ec2, template),
        };
      } catch (error) {
        if (error instanceof InsufficientCapacity || error instanceof AwsError) {
          throw new LaunchFailure(error.message, { cause: error });
        }
        throw error;
      }
    },
    terminate: (instanceId) => ec2.terminate(instanceId, 'User initiated'),
    resolveTemplate: (reference) => resolve(ec2, reference),
  };
}
