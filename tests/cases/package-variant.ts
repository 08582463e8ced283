import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { gzipSync } from 'fflate';
import { extract } from 'tar';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import type { Account } from '../../local/account.ts';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { deployPackage, TEMPLATE } from '../../local/package-deployment.ts';
import { loadTemplate } from '../../local/template/template.ts';
import { archive } from '../../plugins/node-bundle/archive.ts';
import { bringNodesTo, cancelRefresh, type RefreshOutcome } from '../../plugins/node-bundle/refresh.ts';
import { announceTeardown } from '../../plugins/node-bundle/teardown.ts';
import { PROJECT } from '../end-to-end/test-cloud.ts';

/** What became of the node in another package: as good as before, or one that refuses to run. */
export type Variant = 'newer' | 'newest' | 'bad';

const CHANGES: Readonly<Record<Variant, (main: string) => string>> = {
  newer: (main) => `${main}\n// A newer one.\n`,
  newest: (main) => `${main}\n// The newest one.\n`,
  // 78 is how a node says that starting it again cannot help: the boot script gives the instance up at once.
  bad: () => "console.log('this one does not get far');\nprocess.exit(78);\n",
};

/**
 * A copy of the project's package whose node bundle is another one, with its hash everywhere the old one stood: what
 * `sls package` makes of changed sources. The caller removes the folder.
 */
export async function packageVariant(variant: Variant): Promise<string> {
  const original = join(PROJECT, '.serverless');
  const folder = await mkdtemp(join(tmpdir(), 'chordfs-variant-'));
  const packageDirectory = join(folder, '.serverless');
  await cp(original, packageDirectory, { recursive: true });
  const { sha256: old } = JSON.parse(await readFile(join(original, 'node', 'bundle.json'), 'utf8')) as {
    sha256: string;
  };
  const tree = join(folder, 'tree');
  await mkdir(tree);
  await extract({ file: join(original, 'node', `${old}.tgz`), cwd: tree });
  const main = join(tree, 'main.mjs');
  await writeFile(main, CHANGES[variant](await readFile(main, 'utf8')));
  const bytes = gzipSync(await archive(tree), { level: 1, mtime: 0 });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const path = join(packageDirectory, 'node', `${sha256}.tgz`);
  await writeFile(path, bytes);
  await writeFile(join(packageDirectory, 'node', 'bundle.json'), JSON.stringify({ sha256, path }));
  const template = await readFile(join(packageDirectory, TEMPLATE), 'utf8');
  await writeFile(join(packageDirectory, TEMPLATE), template.replaceAll(old, sha256));
  return packageDirectory;
}

/** Changes a function of the package, and nothing of the nodes. */
export async function changeFunction(packageDirectory: string): Promise<void> {
  const path = join(packageDirectory, TEMPLATE);
  const template = await readFile(path, 'utf8');
  await writeFile(path, template.replaceAll('"MemorySize": 256', '"MemorySize": 512'));
}

export async function discardVariant(packageDirectory: string): Promise<void> {
  await rm(join(packageDirectory, '..'), { recursive: true, force: true });
}

/** What `sls remove` does, without the framework: announced to the nodes, the bucket emptied, the stack deleted. */
export async function removeStage(cloud: LocalCloud): Promise<void> {
  const { endpoint, region, tableName, account } = cloud;
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new DynamoDBClient({ endpoint, region, credentials });
  try {
    await announceTeardown(dynamodbItemStore(client, tableName), 'dev');
  } finally {
    client.destroy();
  }
  await removeStack(account, 'chordfs-dev');
}

/** Empties the deployment bucket and deletes the stack. @throws Error when something of it could not be deleted. */
export async function removeStack({ services, stacks }: Account, name: string): Promise<void> {
  const stack = stacks.find(name);
  const bucket = stack.resources.find(({ type }) => type === 'AWS::S3::Bucket')?.ref ?? '';
  for (const { key } of await services.s3.list(bucket, '')) await services.s3.remove(bucket, key);
  await stacks.delete(name);
  if (stack.status !== 'DELETE_COMPLETE') throw new Error(`${stack.status}: ${stack.statusReason}`);
}

export function autoScalingClient({ endpoint, region }: LocalCloud): AutoScalingClient {
  return new AutoScalingClient({
    endpoint,
    region,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
}

/**
 * What `sls deploy` does with a package, without the framework: by the plugin's own steps a refresh under way is stopped,
 * the stack updated, and the nodes brought to the launch template version that it has now.
 */
export async function deployVariant(
  cloud: LocalCloud,
  packageDirectory: string,
): Promise<RefreshOutcome | undefined> {
  const client = autoScalingClient(cloud);
  try {
    const { parameters } = cloud.account.stacks.find('chordfs-dev').definition;
    const template = await loadTemplate(join(packageDirectory, TEMPLATE));
    await cancelRefresh(client, cloud.autoScalingGroupName);
    const stack = await deployPackage(cloud.account, { packageDirectory, template, parameters });
    const version = String(stack.outputs['NodeLaunchTemplateVersion']);
    return await bringNodesTo(client, cloud.autoScalingGroupName, version);
  } finally {
    client.destroy();
  }
}
