import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { stringify } from 'yaml';
import { createClock } from '../../local/clock.ts';
import type { Compute, ComputeState, MetricData } from '../../local/compute.ts';
import { createCompute } from '../../local/create-compute.ts';
import { createCredentials } from '../../local/imds/credentials.ts';
import type { EmittedEvent } from '../../local/service.ts';
import { mounted } from './mounted.ts';

export const REGION = 'us-east-1';
export const GROUP = 'chordfs-test';
export const ROLE_ARN = 'arn:aws:iam::000000000000:role/chordfs-test-node';

/**
 * Stands in for the packaged node: says what it was given, listens where it was told to, ends on SIGTERM. A file named
 * `stubborn` in its data folder makes it ignore SIGTERM.
 */
const STUB = `
import { createServer } from 'node:net';
import { existsSync, writeFileSync } from 'node:fs';
const data = process.env.CHORDFS_DATA_DIR;
writeFileSync(data + '/environment.json', JSON.stringify(process.env));
for (const address of process.env.CHORDFS_LISTEN.split(',')) createServer().listen(5058, address);
process.on('SIGTERM', () => existsSync(data + '/stubborn') || process.exit(0));
console.log('stub is up');
`;

const AGENT = {
  agent: { metrics_collection_interval: 60 },
  metrics: {
    namespace: 'CWAgent',
    append_dimensions: {
      InstanceId: '${' + 'aws:InstanceId}',
      AutoScalingGroupName: '${' + 'aws:AutoScalingGroupName}',
    },
    aggregation_dimensions: [['AutoScalingGroupName']],
    metrics_collected: {
      disk: { measurement: ['used_percent'], resources: ['/var/lib/chordfs'], drop_device: true },
    },
  },
};

export function userData(): string {
  const files = [
    {
      path: '/etc/chordfs/node.env',
      content: 'CHORDFS_STAGE=test\nCHORDFS_DATA_DIR=/var/lib/chordfs\n# comment\nCHORDFS_TIME_SCALE="60"\n',
    },
    {
      path: '/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json',
      content: JSON.stringify(AGENT),
    },
  ];
  const runcmd = [`aws s3 cp s3://bundles/node/${'0'.repeat(64)}.tgz /opt/node.tgz`];
  return Buffer.from(`#cloud-config\n${stringify({ write_files: files, runcmd })}`).toString('base64');
}

export const LAUNCH_TEMPLATE = {
  ImageId: 'ami-1',
  InstanceType: 't4g.micro',
  UserData: userData(),
  IamInstanceProfile: { Name: 'chordfs-test-profile' },
  MetadataOptions: { HttpTokens: 'required', InstanceMetadataTags: 'enabled' },
};

export const hook = (name: string, transition: 'LAUNCHING' | 'TERMINATING', more: object = {}) => ({
  LifecycleHookName: name,
  LifecycleTransition: `autoscaling:EC2_INSTANCE_${transition}`,
  HeartbeatTimeout: 300,
  DefaultResult: 'ABANDON',
  ...more,
});

export interface Fixture {
  readonly compute: Compute;
  readonly url: string;
  readonly events: EmittedEvent[];
  readonly metrics: MetricData[];
  readonly logs: string[];
  readonly directory: string;
  readonly credentials: ReturnType<typeof createCredentials>;
  /** The packaged template's launch template and group, as the stack deploys them. */
  deploy(properties?: object): Promise<void>;
  /** Ends this cloud as a power cut of the cloud would, keeping the folder; returns what a second start needs. */
  powerOff(): Promise<{ state: ComputeState; directory: string }>;
  stop(): Promise<void>;
}

async function stubBundle(directory: string): Promise<{ sha256: string; path: string }> {
  await writeFile(join(directory, 'main.mjs'), STUB);
  const path = join(directory, 'bundle.tgz');
  await create({ gzip: true, file: path, cwd: directory, portable: true }, ['main.mjs']);
  return {
    path,
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  };
}

/** A compute side with real processes, metadata services and an HTTP endpoint, on addresses of its own. */
export async function computeFixture(
  options: {
    timeScale?: number;
    shortestHookPatienceMs?: number;
    earlier?: { state: ComputeState; directory: string };
  } = {},
): Promise<Fixture> {
  const directory = options.earlier?.directory ?? (await mkdtemp(join(tmpdir(), 'chordfs-compute-')));
  await mkdir(join(directory, 'packaged'), { recursive: true });
  const bundle = await stubBundle(join(directory, 'packaged'));
  const clock = createClock(options.timeScale ?? 60);
  const credentials = createCredentials();
  const events: EmittedEvent[] = [];
  const metrics: MetricData[] = [];
  const logs: string[] = [];
  let url = '';
  const compute = createCompute({
    clock,
    emit: (event) => events.push(event),
    directory,
    region: REGION,
    availabilityZone: `${REGION}a`,
    credentials,
    endpointUrl: () => url,
    putMetricData: (data) => void metrics.push(data),
    bundle: async () => bundle,
    instanceProfileRole: () => ({ roleName: 'chordfs-test-node', roleArn: ROLE_ARN }),
    volumeSizeBytes: 1024 * 1024,
    privatePrefix: '127.20.0',
    publicPrefix: '127.20.1',
    shortestHookPatienceMs: options.shortestHookPatienceMs,
    state: options.earlier?.state,
    log: (line) => logs.push(line),
  });
  const server = await mounted(compute.services, credentials.callerOf);
  url = server.url;
  const shut = async (): Promise<void> => {
    await compute.stop();
    clock.stop();
    await server.close();
  };
  return {
    compute,
    url,
    events,
    metrics,
    logs,
    directory,
    credentials,
    async deploy(properties = {}) {
      const { launchTemplateId, latestVersionNumber } = compute.putLaunchTemplate('NodeTemplate', {
        LaunchTemplateData: LAUNCH_TEMPLATE,
      });
      await compute.putAutoScalingGroup('NodeGroup', {
        AutoScalingGroupName: GROUP,
        MinSize: '0',
        MaxSize: '4',
        DesiredCapacity: '1',
        LaunchTemplate: { LaunchTemplateId: launchTemplateId, Version: latestVersionNumber },
        VPCZoneIdentifier: ['subnet-1'],
        Tags: [{ Key: 'stage', Value: 'test', PropagateAtLaunch: true }],
        ...properties,
      });
    },
    async powerOff() {
      const state = JSON.parse(JSON.stringify(compute.exportState())) as ComputeState;
      await shut();
      return { state, directory };
    },
    async stop() {
      await shut();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Waits for a condition, looking often; fails with what it was after a deadline. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const endMs = Date.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
