import type { TemporaryCredentials } from './credentials.ts';

/** Everything the metadata service of one instance can be asked for. */
export interface InstanceFacts {
  readonly instanceId: string;
  readonly privateIp: string;
  /** Undefined for a machine without one. */
  readonly publicIp: string | undefined;
  readonly region: string;
  readonly availabilityZone: string;
  readonly instanceType: string;
  readonly imageId: string;
  readonly accountId: string;
  readonly launchedMs: number;
  /** Undefined: tags are not exposed to the metadata service (`InstanceMetadataTags` is not `enabled`). */
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly roleName: string | undefined;
  readonly instanceProfileArn: string | undefined;
  readonly credentials: (() => TemporaryCredentials) | undefined;
  /** Where Auto Scaling wants the instance to go; undefined before it was decided. */
  targetLifecycleState(): string | undefined;
  /** When EC2 will take a Spot instance, ms since the epoch. */
  spotTerminationMs(): number | undefined;
  rebalanceNoticeMs(): number | undefined;
}

type Leaf = () => string | undefined;

/** Times in the metadata service have no fraction of a second. */
const instant = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

function credentialsDocument(facts: InstanceFacts): string | undefined {
  const issued = facts.credentials?.();
  if (issued === undefined) return undefined;
  return JSON.stringify({
    Code: 'Success',
    LastUpdated: instant(Date.now()),
    Type: 'AWS-HMAC',
    AccessKeyId: issued.accessKeyId,
    SecretAccessKey: issued.secretAccessKey,
    Token: issued.sessionToken,
    Expiration: instant(issued.expiration.getTime()),
  });
}

function identityDocument(facts: InstanceFacts): string {
  return JSON.stringify({
    accountId: facts.accountId,
    architecture: 'arm64',
    availabilityZone: facts.availabilityZone,
    imageId: facts.imageId,
    instanceId: facts.instanceId,
    instanceType: facts.instanceType,
    pendingTime: instant(facts.launchedMs),
    privateIp: facts.privateIp,
    region: facts.region,
    version: '2017-09-30',
  });
}

function leavesOf(facts: InstanceFacts): ReadonlyMap<string, Leaf> {
  const metadata: Record<string, Leaf> = {
    'ami-id': () => facts.imageId,
    'instance-id': () => facts.instanceId,
    'instance-type': () => facts.instanceType,
    'instance-life-cycle': () => 'on-demand',
    'local-ipv4': () => facts.privateIp,
    'public-ipv4': () => facts.publicIp,
    'placement/availability-zone': () => facts.availabilityZone,
    'placement/region': () => facts.region,
    'services/domain': () => 'amazonaws.com',
    'autoscaling/target-lifecycle-state': () => facts.targetLifecycleState(),
    'spot/instance-action': () => {
      const atMs = facts.spotTerminationMs();
      return atMs === undefined ? undefined : JSON.stringify({ action: 'terminate', time: instant(atMs) });
    },
    'spot/termination-time': () => {
      const atMs = facts.spotTerminationMs();
      return atMs === undefined ? undefined : instant(atMs);
    },
    'events/recommendations/rebalance': () => {
      const atMs = facts.rebalanceNoticeMs();
      return atMs === undefined ? undefined : JSON.stringify({ noticeTime: instant(atMs) });
    },
  };
  if (facts.roleName !== undefined) {
    metadata[`iam/security-credentials/${facts.roleName}`] = () => credentialsDocument(facts);
    metadata['iam/info'] = () =>
      JSON.stringify({ Code: 'Success', InstanceProfileArn: facts.instanceProfileArn ?? '' });
  }
  for (const [key, value] of Object.entries(facts.tags ?? {})) metadata[`tags/instance/${key}`] = () => value;
  return new Map<string, Leaf>([
    ...Object.entries(metadata).map(([path, leaf]) => [`meta-data/${path}`, leaf] as const),
    ['dynamic/instance-identity/document', () => identityDocument(facts)],
  ]);
}

/** A folder lists its entries, folders with a slash at the end; a role alone is listed without one. */
function listing(leaves: ReadonlyMap<string, Leaf>, folder: string): string | undefined {
  const entries = new Set<string>();
  for (const [path, leaf] of leaves) {
    if (!path.startsWith(folder) || leaf() === undefined) continue;
    const [first = '', ...rest] = path.slice(folder.length).split('/');
    entries.add(rest.length === 0 ? first : `${first}/`);
  }
  return entries.size === 0 ? undefined : [...entries].sort().join('\n');
}

/** The body for a path below `/latest/`, or undefined for a 404. */
export function metadataAt(facts: InstanceFacts, path: string): string | undefined {
  const leaves = leavesOf(facts);
  const leaf = leaves.get(path);
  if (leaf !== undefined) return leaf();
  return listing(leaves, path === '' || path.endsWith('/') ? path : `${path}/`);
}
