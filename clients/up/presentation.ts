import type { Cloud, CloudNode } from '../../local/cloud.ts';
import { columns } from '../columns.ts';

/** What the screen shows of a running cloud. */
export type RunningCloud = Pick<
  Cloud,
  'endpoint' | 'region' | 'autoScalingGroupName' | 'busName' | 'tableName'
>;

/** The one line by which a program learns that every desired node is in service. */
export function readyLine(cloud: RunningCloud, nodes: readonly CloudNode[]): string {
  return JSON.stringify({
    ready: true,
    endpoint: cloud.endpoint,
    region: cloud.region,
    autoScalingGroupName: cloud.autoScalingGroupName,
    busName: cloud.busName,
    tableName: cloud.tableName,
    nodes: nodes.map(({ instanceId, id, privateIp, publicIp }) => ({ instanceId, id, privateIp, publicIp })),
  });
}

export function nodeTable(nodes: readonly CloudNode[]): string[] {
  return columns([
    ['INSTANCE', 'RING ID', 'PRIVATE', 'PUBLIC'],
    ...nodes.map(({ instanceId, id, privateIp, publicIp }) => [instanceId, id, privateIp, publicIp]),
  ]);
}

/** A word that any POSIX shell reads back as `text`. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Commands that work when pasted, wherever the other terminal happens to be. */
export function whatToTry(
  cloud: RunningCloud,
  nodes: readonly CloudNode[],
  { projectDirectory, isTls }: { readonly projectDirectory: string; readonly isTls: boolean },
): string[] {
  const first = nodes[0]?.publicIp;
  const last = nodes.at(-1)?.publicIp;
  if (first === undefined || last === undefined) return [];
  const upload = shellWord(`${projectDirectory}/clients/upload.py`);
  const download = shellWord(`${projectDirectory}/clients/download.py`);
  const file = shellWord(`${projectDirectory}/README.md`);
  const credentials = 'AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local';
  const url = `${isTls ? 'https' : 'http'}://${first}:5058`;
  // The course's clients speak plain HTTP alone.
  const python = [
    `  python3 ${upload} ${file} ${first}`,
    `  (cd /tmp && python3 ${download} README.md ${last})`,
  ];
  return [
    'Try next, in another terminal:',
    ...(isTls ? [] : python),
    `  curl ${isTls ? '--insecure ' : ''}-F files=@${file} ${url}/upload`,
    `  ${credentials} aws --endpoint-url ${cloud.endpoint} --region ${cloud.region} \\`,
    `    autoscaling describe-auto-scaling-groups --auto-scaling-group-names ${cloud.autoScalingGroupName}`,
    `or open ${url}/ in a browser. Ctrl-C stops everything.`,
  ];
}
