/**
 * One node of a fleet (`bench/fleet/`): the product's own `runNode` on a real disk, real sockets and the real
 * membership code over a DynamoDB. Only what is EC2's and Auto Scaling's alone is stood in for: who the machine is,
 * and the order to leave, which comes from the campaign.
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EVENT_SOURCES } from '../domain/scaling-log.ts';
import { timing } from '../domain/timing.ts';
import { describeError, jsonLog } from '../node/log.ts';
import { DynamodbItemStore } from '../node/membership/dynamodb-item-store.ts';
import { ManagedMembership } from '../node/membership/managed-membership.ts';
import { runNode } from '../node/run-node.ts';
import type { FleetOrder, NodeSpec } from './fleet/node-spec.ts';

const spec: NodeSpec = JSON.parse(process.argv[2] ?? '{}');
const { instanceId, address, availabilityZone, stage, timeScale } = spec;
const log = jsonLog((line) => {
  process.stdout.write(line);
});

let isToLeave = false;
process.on('message', (order: FleetOrder) => {
  isToLeave ||= order === 'leave';
});

const membership = new ManagedMembership({
  ...{ stage, log, now: Date.now, launchHook: 'launch', terminateHook: 'terminate' },
  timing: timing(timeScale),
  store: new DynamodbItemStore(
    new DynamoDBClient({
      endpoint: spec.tableEndpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'fleet', secretAccessKey: 'fleet' },
    }),
    spec.tableName,
  ),
  bus: { sources: EVENT_SOURCES, put: () => Promise.resolve() },
  metadata: {
    identity: async () => ({ instanceId, availabilityZone, privateIp: address, publicIp: address }),
    targetLifecycleState: async () => (isToLeave ? 'Terminated' : 'InService'),
    spotNotice: async () => undefined,
  },
  actionsOf: () => ({ complete: async () => 'completed', heartbeat: async () => undefined }),
});

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort(signal));
try {
  await runNode({
    environment: {
      ...{ stage, timeScale, vpcCidr: '127.0.0.0/8', listen: [address] },
      ...{ dataDirectory: spec.directory, capacityBytes: spec.capacityBytes },
      ...{ tableName: spec.tableName, busName: '', autoScalingGroupName: '', region: 'us-east-1' },
      ...{ launchHook: 'launch', terminateHook: 'terminate', metadataEndpoint: undefined },
    },
    membership,
    tuning: spec.tuning,
    log,
    access: () => undefined,
    stop: stopping.signal,
  });
  process.exit(0);
} catch (error) {
  log('error', 'node ended', describeError(error));
  process.exit(1);
}
