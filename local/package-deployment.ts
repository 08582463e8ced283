import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { Account } from './account.ts';
import type { StackDefinition, StackRecord } from './cloud-formation/stack-record.ts';
import { AwsError } from './service.ts';
import type { ParameterValues } from './template/parameters.ts';
import { loadTemplate, type Template } from './template/template.ts';

const CORE_TEMPLATE = 'cloudformation-template-create-stack.json';
export const TEMPLATE = 'cloudformation-template-update-stack.json';
const BUCKET = 'ServerlessDeploymentBucket';

const bundleSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const codeSchema = z.object({ Code: z.object({ S3Key: z.string() }) });
const stateSchema = z.object({
  service: z.object({ service: z.string(), provider: z.object({ stage: z.string() }) }),
});

/** What `sls package` made, about to be deployed the way `sls deploy` does it. */
export interface PackageOptions {
  readonly packageDirectory: string;
  readonly template: Template;
  readonly parameters: ParameterValues;
}

function definition(template: Template, parameters: ParameterValues, stage: string): StackDefinition {
  return { templateBody: JSON.stringify(template), template, parameters, tags: { STAGE: stage } };
}

/** The objects that the template's functions and user data name, by key, with the file each is made from. */
async function artifactsOf({ packageDirectory, template }: PackageOptions): Promise<Map<string, string>> {
  const artifacts = new Map<string, string>();
  for (const { Type, Properties } of Object.values(template.Resources)) {
    if (Type !== 'AWS::Lambda::Function') continue;
    const { S3Key } = codeSchema.parse(Properties).Code;
    artifacts.set(S3Key, join(packageDirectory, basename(S3Key)));
  }
  const text = await readFile(join(packageDirectory, 'node', 'bundle.json'), 'utf8').catch(
    (cause: unknown) => {
      throw new Error('there is no node bundle: run `npx sls package`', { cause });
    },
  );
  const { sha256 } = bundleSchema.parse(JSON.parse(text));
  const [key] = new RegExp(`serverless/[^\\s'"]*?${sha256}\\.tgz`).exec(JSON.stringify(template)) ?? [];
  if (key === undefined) throw new Error(`no user data of the template downloads the node bundle ${sha256}`);
  return artifacts.set(key, join(packageDirectory, 'node', `${sha256}.tgz`));
}

async function uploadArtifacts(account: Account, bucket: string, options: PackageOptions): Promise<void> {
  const { s3 } = account.services;
  for (const [key, path] of await artifactsOf(options)) {
    const body = await readFile(path).catch((cause: unknown) => {
      throw new Error(`${path} is missing: run \`npx sls package\``, { cause });
    });
    const filesha256 = createHash('sha256').update(body).digest('base64');
    await s3.put(bucket, key, body, { filesha256 });
  }
}

/** Packages of functions that no template names any more. Node bundles stay: instances of an earlier one may boot again. */
async function removeOldPackages(account: Account, bucket: string, options: PackageOptions): Promise<void> {
  const current = await artifactsOf(options);
  for (const { key } of await account.services.s3.list(bucket, 'serverless/')) {
    if (key.endsWith('.zip') && !current.has(key)) await account.services.s3.remove(bucket, key);
  }
}

async function stackNameOf(packageDirectory: string): Promise<{ stackName: string; stage: string }> {
  const text = await readFile(join(packageDirectory, 'serverless-state.json'), 'utf8');
  const { service, provider } = stateSchema.parse(JSON.parse(text)).service;
  return { stackName: `${service}-${provider.stage}`, stage: provider.stage };
}

/**
 * As the deploy's plugin does it: a group that is there keeps the size that scaling has made. Unless another one is asked
 * for than last time, which `chordfs up` may do.
 */
function keptCapacity({ template, parameters }: PackageOptions, stack: StackRecord): ParameterValues {
  if (!Object.hasOwn(template.Parameters, 'KeepsCapacity')) return {};
  const isThere = stack.resources.some(({ type }) => type === 'AWS::AutoScaling::AutoScalingGroup');
  const before = stack.definition.parameters['DesiredCapacity'];
  return { KeepsCapacity: String(isThere && String(before) === String(parameters['DesiredCapacity'])) };
}

/**
 * Deploys a package as `sls deploy` does: the stack with its bucket first, then what instances and functions are made
 * of, then everything else. A stack that is there already is updated.
 * @throws Error with CloudFormation's reason.
 */
export async function deployPackage(account: Account, options: PackageOptions): Promise<StackRecord> {
  const { stacks } = account;
  const { packageDirectory, template, parameters } = options;
  const { stackName, stage } = await stackNameOf(packageDirectory);
  const isThere = stacks
    .list()
    .some(({ name, status }) => name === stackName && status !== 'DELETE_COMPLETE');
  if (!isThere) {
    const core = await loadTemplate(join(packageDirectory, CORE_TEMPLATE));
    await stacks.settled(stacks.create(stackName, definition(core, {}, stage), 'DELETE'));
  }
  const stack = stacks.find(stackName);
  const bucket = stack.resources.find(({ logicalId }) => logicalId === BUCKET)?.ref;
  if (bucket === undefined) throw new Error(`stack ${stackName} has no ${BUCKET}`);
  await uploadArtifacts(account, bucket, options);
  try {
    const given = { ...parameters, ...keptCapacity(options, stack) };
    stacks.update(stackName, definition(template, given, stage));
  } catch (error) {
    if (!(error instanceof AwsError) || !error.message.includes('No updates')) throw error;
  }
  await stacks.settled(stack);
  await removeOldPackages(account, bucket, options);
  return stack;
}
