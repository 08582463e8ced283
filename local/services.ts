import { join } from 'node:path';
import { type AlarmStates, CloudWatch } from './cloud-watch/cloud-watch.ts';
import { cloudWatchService } from './cloud-watch/operations.ts';
import type { MetricData } from './compute.ts';
import { type DynamoDb, startDynamoDb } from './dynamo-db/dynamo-db.ts';
import { ecrService } from './ecr/ecr.ts';
import { EventBridge } from './event-bridge/event-bridge.ts';
import { eventBridgeService } from './event-bridge/operations.ts';
import { Faults } from './faults.ts';
import type { ResourceNames } from './iam/access.ts';
import { Authorizer } from './iam/authorizer.ts';
import { Iam } from './iam/iam.ts';
import { type Credentials, createCredentials } from './imds/credentials.ts';
import { Lambda } from './lambda/lambda.ts';
import { Logs, logsService } from './logs/logs.ts';
import { type Destinations, deadLetterSender, invocationDestination, targetSender } from './routing.ts';
import { S3 } from './s3/s3.ts';
import { ACCOUNT_ID, type CloudClock, type Service } from './service.ts';
import { Sqs, sqsService } from './sqs/sqs.ts';

interface ServicesOptions {
  readonly clock: CloudClock;
  readonly region: string;
  readonly directory: string;
  /** Keep tables on disk; otherwise in memory. */
  readonly isKept: boolean;
  readonly endpointUrl: () => string;
  readonly log: (line: string) => void;
  /** What Auto Scaling knows of its groups. */
  readonly groups: Pick<ResourceNames, 'groupArn' | 'groupOf'>;
  /** Of an earlier life. */
  readonly alarms: AlarmStates | undefined;
}

/** Everything in the cloud but the machines. */
export interface Services {
  readonly bridge: EventBridge;
  readonly cloudWatch: CloudWatch;
  readonly credentials: Credentials;
  readonly dynamoDb: DynamoDb;
  readonly faults: Faults;
  readonly iam: Iam;
  readonly authorizer: Authorizer;
  readonly lambda: Lambda;
  readonly logs: Logs;
  readonly s3: S3;
  readonly sqs: Sqs;
  /** What a service of this account reads out of its buckets. @throws AwsError */
  readObject(bucket: string, key: string): Promise<Uint8Array>;
  queueUrl(name: string): string;
  /** What the agents of instances report, without the way over the wire. */
  putMetricData(data: MetricData): void;
  /** Those that speak one of AWS's RPC protocols. */
  readonly rpc: readonly Service[];
  stop(): Promise<void>;
}

/** What a function's role needs, so that Lambda may send what became of an invocation. */
const SENDING: Readonly<Record<string, string>> = {
  events: 'events:PutEvents',
  lambda: 'lambda:InvokeFunction',
  sqs: 'sqs:SendMessage',
};
const ALARM_PRINCIPAL = 'lambda.alarms.cloudwatch.amazonaws.com';

export async function startServices(options: ServicesOptions): Promise<Services> {
  const { clock, region, directory, log } = options;
  const faults = new Faults();
  const iam = new Iam();
  const authorizer = new Authorizer((roleArn) => iam.documentsOf(roleArn), {
    ...options.groups,
    region,
    partitionKey: (tableName) => dynamoDb.partitionKey(tableName),
  });
  const logs = new Logs(clock, region);
  const sqs = new Sqs(clock, region);
  // EventBridge invokes functions and functions' results go to EventBridge: each is reached through the others.
  const destinations: Destinations = { lambda: () => lambda, bridge: () => bridge, logs, sqs, log };
  const lambda = new Lambda({
    clock,
    sendTo: invocationDestination(destinations),
    mayUse: (configuration, service, arn) => {
      const principal = { roleArn: configuration.roleArn, session: configuration.functionName };
      const action = SENDING[service] ?? `${service}:Send`;
      return authorizer.permits(principal, { action, resource: arn, context: new Map() });
    },
    log,
  });
  const send = targetSender(destinations);
  const bridge = new EventBridge({ clock, faults, region, send, bury: deadLetterSender(destinations) });
  const cloudWatch = new CloudWatch({
    clock,
    region,
    earlier: options.alarms,
    emit: (event) => bridge.emit(event),
    invoke(functionArn, payload, alarmArn) {
      if (lambda.isPermitted(functionArn, ALARM_PRINCIPAL, alarmArn))
        lambda.invokeAsync(functionArn, payload);
      else log(`${alarmArn} may not invoke ${functionArn}: its permission is missing`);
    },
  });
  const queueUrl = (name: string): string => `${options.endpointUrl()}/${ACCOUNT_ID}/${name}`;
  const s3 = new S3(join(directory, 's3'));
  const dynamoDb = await startDynamoDb(options.isKept ? join(directory, 'dynamodb') : undefined, region);

  return {
    bridge,
    cloudWatch,
    credentials: createCredentials(),
    dynamoDb,
    faults,
    iam,
    authorizer,
    lambda,
    logs,
    s3,
    sqs,
    readObject: async (bucket, key) => (await s3.get(bucket, key)).body,
    queueUrl,
    putMetricData({ Namespace, MetricData: data }) {
      for (const { MetricName, Dimensions, Timestamp, Value } of data) {
        const dimensions = Object.fromEntries(
          Dimensions.map((dimension) => [dimension.Name, dimension.Value]),
        );
        const sample = { atMs: Timestamp.getTime(), sum: Value, count: 1, minimum: Value, maximum: Value };
        cloudWatch.put(Namespace, MetricName, dimensions, sample);
      }
    },
    rpc: [
      eventBridgeService(bridge),
      cloudWatchService(cloudWatch, clock),
      logsService(logs),
      sqsService(sqs, queueUrl),
      ecrService,
    ],
    async stop() {
      await lambda.stop();
      await dynamoDb.stop();
    },
  };
}
