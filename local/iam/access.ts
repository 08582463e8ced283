import { ACCOUNT_ID } from '../service.ts';
import type { Context } from './conditions.ts';
import { dynamoDbAccess } from './dynamo-db-access.ts';
import type { AccessRequest } from './evaluate.ts';

/** What the cloud knows of its resources that a call names only in part. */
export interface ResourceNames {
  readonly region: string;
  /** ARN of a group by its name; undefined when there is none. */
  groupArn(autoScalingGroupName: string): string | undefined;
  /** Name of the group that an instance is in. */
  groupOf(instanceId: string): string | undefined;
  /** Name of a table's partition key. */
  partitionKey(tableName: string): string;
}

/** One API call, its input parsed. */
export interface ApiCall {
  /** As in the credential scope: `autoscaling`, `monitoring`, ... */
  readonly service: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

type Mapper = (call: ApiCall, names: ResourceNames) => readonly AccessRequest[];

const EMPTY: Context = new Map();

export function request(action: string, resource: string, context: Context = EMPTY): AccessRequest {
  return { action, resource, context };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function arn(service: string, { region }: ResourceNames, resource: string): string {
  return `arn:aws:${service}:${region}:${ACCOUNT_ID}:${resource}`;
}

/** Describe actions know no resources; every other one is about one group. */
const autoScaling: Mapper = ({ operation, input }, names) => {
  const action = `autoscaling:${operation}`;
  if (operation.startsWith('Describe')) return [request(action, '*')];
  const name = text(input['AutoScalingGroupName']) || names.groupOf(text(input['InstanceId'])) || '';
  const unknown = arn('autoscaling', names, `autoScalingGroup:none:autoScalingGroupName/${name}`);
  return [request(action, names.groupArn(name) ?? unknown)];
};

const cloudWatch: Mapper = ({ operation, input }, names) => {
  const action = `cloudwatch:${operation}`;
  if (operation === 'PutMetricData') {
    return [request(action, '*', new Map([['cloudwatch:namespace', [text(input['Namespace'])]]]))];
  }
  if (operation !== 'DescribeAlarms') return [request(action, '*')];
  const alarms = Array.isArray(input['AlarmNames']) ? input['AlarmNames'] : ['*'];
  return alarms.map((name) => request(action, arn('cloudwatch', names, `alarm:${text(name)}`)));
};

/** Each entry is an event of its own. */
const events: Mapper = ({ operation, input }, names) => {
  const action = `events:${operation}`;
  if (operation !== 'PutEvents') return [request(action, '*')];
  const entries = (input['Entries'] ?? []) as readonly Readonly<Record<string, unknown>>[];
  return entries.map((entry) => {
    const bus = text(entry['EventBusName']) || 'default';
    const resource = bus.startsWith('arn:') ? bus : arn('events', names, `event-bus/${bus}`);
    const context = new Map([
      ['events:source', [text(entry['Source'])]],
      ['events:detail-type', [text(entry['DetailType'])]],
    ]);
    return request(action, resource, context);
  });
};

/** CloudWatch Logs asks about a stream of a group, the stream's name left empty where the call is about the group. */
const logs: Mapper = ({ operation, input }, names) => {
  const stream = text(input['logStreamName']);
  const resource = `log-group:${text(input['logGroupName'])}:log-stream:${stream}`;
  return [request(`logs:${operation}`, arn('logs', names, resource))];
};

const sqs: Mapper = ({ operation, input }, names) => {
  const url = text(input['QueueUrl']);
  return [request(`sqs:${operation}`, arn('sqs', names, url.slice(url.lastIndexOf('/') + 1)))];
};

/** `input` is what the path says: bucket and key. */
const s3: Mapper = ({ operation, input }) => {
  const key = text(input['key']);
  const bucketArn = `arn:aws:s3:::${text(input['bucket'])}`;
  return [request(`s3:${operation}`, key === '' ? bucketArn : `${bucketArn}/${key}`)];
};

const lambda: Mapper = ({ operation, input }, names) => {
  const name = text(input['FunctionName']);
  const resource = name.startsWith('arn:') ? name : arn('lambda', names, `function:${name}`);
  return [request(`lambda:${operation}`, name === '' ? '*' : resource)];
};

const MAPPERS: Readonly<Record<string, Mapper>> = {
  autoscaling: autoScaling,
  dynamodb: (call, names) =>
    dynamoDbAccess(call, {
      tableArn: (tableName) =>
        tableName.startsWith('arn:') ? tableName : arn('dynamodb', names, `table/${tableName}`),
      partitionKey: names.partitionKey,
    }),
  events,
  lambda,
  logs,
  monitoring: cloudWatch,
  s3,
  sqs,
  // Everybody may ask who they are.
  sts: ({ operation }) => (operation === 'GetCallerIdentity' ? [] : [request(`sts:${operation}`, '*')]),
};

/** What a call must be allowed to do, all of it. Services that are not mapped have no resources here. */
export function accessOf(call: ApiCall, names: ResourceNames): readonly AccessRequest[] {
  const map = MAPPERS[call.service];
  if (map !== undefined) return map(call, names);
  return [request(`${call.service}:${call.operation}`, '*')];
}
