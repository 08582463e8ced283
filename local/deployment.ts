import { join } from 'node:path';
import type { CloudOptions } from './cloud.ts';
import type { Compute } from './compute.ts';
import { DEFAULT_PRIVATE_PREFIX } from './instances/addresses.ts';
import type { Services } from './services.ts';
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
  readonly directory: string;
  readonly endpointUrl: () => string;
  /** Whether the stacks of an earlier life are being taken up. */
  readonly isRestoring: () => boolean;
}

/** Who creates which type of resource. A type that is missing here stops the deploy. */
export function resourceHandlers(options: DeploymentOptions): ResourceHandlers {
  const { services, compute, endpointUrl, isRestoring } = options;
  const { bridge, cloudWatch, credentials, dynamoDb, faults, iam, lambda, logs, s3, sqs, queueUrl } =
    services;
  const { readObject, authorizer } = services;
  const codeDirectory = join(options.directory, 'functions');
  return {
    ...NETWORK_RESOURCES,
    ...iamResources(iam),
    ...eventResources(bridge),
    ...queueResources(sqs, queueUrl),
    ...logResources(logs),
    ...storageResources(dynamoDb, s3),
    ...monitoringResources(cloudWatch),
    ...lambdaResources({
      lambda,
      faults,
      logs,
      credentials,
      authorizer,
      readObject,
      codeDirectory,
      endpointUrl,
    }),
    ...computeResources(compute, isRestoring),
  };
}

/**
 * Parameters that are facts of this cloud and no choice of a deployment: how fast its time runs, and where its
 * network lies.
 */
export function cloudParameters(options: {
  readonly timeScale: number;
  readonly privatePrefix?: string | undefined;
}): ParameterValues {
  const { timeScale, privatePrefix = DEFAULT_PRIVATE_PREFIX } = options;
  return {
    TimeScale: timeScale,
    VpcCidr: `${privatePrefix}.0/16`,
    SubnetCidr: `${privatePrefix}.0/24`,
  };
}

/** Template parameters that the options of the local cloud decide, as far as the template declares them. */
export function parameterValues(template: Template, options: CloudOptions): ParameterValues {
  const known: ParameterValues = {
    MinSize: options.min,
    MaxSize: options.max,
    DesiredCapacity: options.desired,
    DiskThresholdPercent: options.threshold,
    ...(options.scaleIn === undefined ? {} : { ScaleIn: String(options.scaleIn) }),
    ...(options.onConflict === undefined ? {} : { OnConflict: options.onConflict }),
    ...(options.theme === undefined ? {} : { Theme: options.theme }),
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
