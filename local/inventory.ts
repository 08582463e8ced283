import type { Account } from './account.ts';

/**
 * Everything that is in the account, by kind: what `sls remove` must leave nothing of. A name appears once for each
 * thing; kinds without any are left out.
 */
export async function inventory({ services, compute, stacks }: InventoryParts): Promise<Inventory> {
  const { bridge, cloudWatch, dynamoDb, iam, lambda, logs, s3, sqs } = services;
  const rules = bridge.busNames().flatMap((busName) => bridge.rules(busName));
  const objects = await Promise.all(
    s3.buckets().map(async (bucket) => (await s3.list(bucket, '')).map(({ key }) => `${bucket}/${key}`)),
  );
  const kinds: Record<string, readonly string[]> = {
    alarms: cloudWatch.alarms().map(({ configuration }) => configuration.name),
    buckets: s3.buckets(),
    buses: bridge.busNames().filter((name) => name !== 'default'),
    functions: lambda.functions().map(({ configuration }) => configuration.functionName),
    groups: compute.autoScalingGroupNames(),
    instanceProfiles: iam.instanceProfiles(),
    instances: compute.instances().map(({ instanceId }) => instanceId),
    launchTemplates: compute.launchTemplateNames(),
    logGroups: [...logs.groups().keys()],
    objects: objects.flat(),
    permissions: lambda.permissionIds(),
    queues: sqs.queues().map(({ name }) => name),
    roles: iam.roles().map(({ roleName }) => roleName),
    rules: rules.map(({ name }) => name),
    stacks: stacks
      .list()
      .filter(({ status }) => status !== 'DELETE_COMPLETE')
      .map(({ name }) => name),
    tables: await dynamoDb.tableNames(),
    volumes: await compute.volumes(),
  };
  return Object.fromEntries(Object.entries(kinds).filter(([, names]) => names.length > 0));
}

type InventoryParts = Pick<Account, 'services' | 'compute' | 'stacks'>;
export type Inventory = Readonly<Record<string, readonly string[]>>;

/** For `GET /_chordfs/local`: what there is, for people and for the dashboard. */
export async function stateView(account: Omit<Account, 'endpoint' | 'stop'>): Promise<unknown> {
  const { directory, services, compute, stacks } = account;
  const resources = stacks.list().flatMap((stack) => stack.resources);
  return {
    directory,
    instances: compute.instances(),
    stacks: stacks.list().map(({ name, status }) => ({ name, status })),
    resources: resources.map(({ logicalId, type, ref }) => ({ logicalId, type, ref })),
    alarms: services.cloudWatch.alarms(),
    queues: services.sqs.queues().map(({ name, messages }) => ({ name, messageCount: messages.length })),
    rules: services.bridge.busNames().flatMap((busName) => services.bridge.rules(busName)),
    functions: services.lambda
      .functions()
      .map(({ configuration: { functionName, handler } }) => ({ functionName, handler })),
    logGroups: [...services.logs.groups()].map(([name, { events }]) => ({ name, lines: events.length })),
    inventory: await inventory(account),
  };
}
