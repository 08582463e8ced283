import { join } from 'node:path';
import type { CloudOptions } from './cloud.ts';
import type { Compute } from './compute.ts';
import type { Services } from './services.ts';
import type { CloudState } from './state-file.ts';
import type { ParameterValues } from './template/parameters.ts';
import type { ResourceHandlers } from './template/resource-handler.ts';
import { computeResources } from './template/resources/compute.ts';
import { iamResources } from './template/resources/iam.ts';
import { lambdaResources } from './template/resources/lambda.ts';
import { eventResources, logResources, queueResources } from './template/resources/messaging.ts';
import { monitoringResources } from './template/resources/monitoring.ts';
import { NETWORK_RESOURCES } from './template/resources/network.ts';
import { storageResources } from './template/resources/storage.ts';
import type { Stack } from './template/stack.ts';
import type { Template } from './template/template.ts';

interface DeploymentOptions {
  readonly services: Services;
  readonly compute: Compute;
  readonly packageDirectory: string;
  readonly directory: string;
  readonly endpointUrl: () => string;
  readonly earlier: CloudState['resources'];
  /** Brings the instances of an earlier life back; called when all they depend on exists. Safe to repeat. */
  readonly startInstances: () => Promise<void>;
}

/** Who creates which type of resource. A type that is missing here stops the deploy. */
export function resourceHandlers(options: DeploymentOptions): ResourceHandlers {
  const { services, compute, packageDirectory, endpointUrl } = options;
  const { bridge, cloudWatch, credentials, dynamoDb, faults, iam, lambda, logs, s3, sqs, queueUrl } =
    services;
  const codeDirectory = join(options.directory, 'functions');
  return {
    ...NETWORK_RESOURCES,
    ...iamResources(iam),
    ...eventResources(bridge),
    ...queueResources(sqs, queueUrl),
    ...logResources(logs),
    ...storageResources(dynamoDb, s3),
    ...monitoringResources(cloudWatch),
    ...lambdaResources({ lambda, faults, logs, credentials, packageDirectory, codeDirectory, endpointUrl }),
    ...computeResources(compute, options.earlier, options.startInstances),
  };
}

/** Template parameters that the options of the local cloud decide, as far as the template declares them. */
export function parameterValues(
  template: Template,
  options: CloudOptions,
  networks: { readonly vpcCidr: string; readonly subnetCidr: string },
): ParameterValues {
  const known: ParameterValues = {
    MinSize: options.min,
    MaxSize: options.max,
    DesiredCapacity: options.desired,
    DiskThresholdPercent: options.threshold,
    TimeScale: options.timeScale,
    VpcCidr: networks.vpcCidr,
    SubnetCidr: networks.subnetCidr,
  };
  return Object.fromEntries(
    Object.entries(known).filter(([name]) => Object.hasOwn(template.Parameters, name)),
  );
}

/** The `Ref` of the first resource of a type, in the order of creation. @throws Error when there is none. */
export function refOf(stack: Stack, type: string): string {
  const resource = stack.resources.find((candidate) => candidate.type === type);
  if (resource === undefined) throw new Error(`the template has no ${type}`);
  return resource.ref;
}

/** What `chordfs up --dir` compares the next deploy with. */
export function deployedProperties(stack: Stack): CloudState['resources'] {
  return Object.fromEntries(stack.resources.map(({ logicalId, properties }) => [logicalId, properties]));
}
