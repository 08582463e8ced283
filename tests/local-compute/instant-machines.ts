import { AutoScaling } from '../../local/auto-scaling/auto-scaling.ts';
import { LaunchFailure } from '../../local/auto-scaling/group.ts';
import type { CloudClock, EmittedEvent } from '../../local/service.ts';
import { template } from './group-simulation.ts';

/** Auto Scaling over machines that are only counted: they boot and end when a test says so. */
export function withInstantMachines(options: {
  readonly clock: CloudClock;
  readonly emit: (event: EmittedEvent) => void;
  /** Asked at each launch: whether EC2 has no capacity left. */
  readonly isRefused: () => boolean;
  readonly onEnding: (instanceId: string) => void;
}): AutoScaling {
  const { clock, emit, isRefused, onEnding } = options;
  let lastId = 0;
  return new AutoScaling(
    {
      ...{ clock, emit, region: 'us-east-1', availabilityZone: 'us-east-1a' },
      changed: () => undefined,
      resolveName: ({ Version = '1' }) => template(Number(Version)),
      machines: {
        launch: (_, launchTemplate) => {
          if (isRefused()) throw new LaunchFailure('no capacity');
          return {
            instanceId: `i-${++lastId}`,
            availabilityZone: 'us-east-1a',
            subnetId: 'subnet-1',
            instanceType: 't4g.micro',
            imageId: 'ami-1',
            launchTemplate,
          };
        },
        terminate: onEnding,
        resolveTemplate: (reference) => reference,
      },
    },
    [],
  );
}
