import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import { PROJECT } from './programs.ts';

export interface CloudFormationTemplate {
  readonly Resources: Record<string, TemplateResource>;
  readonly Parameters: Record<string, { Default: string }>;
}
export interface TemplateResource {
  Type: string;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Properties: Record<string, unknown>;
}

export const TEMPLATE_PATH = join(PROJECT, '.serverless', 'cloudformation-template-update-stack.json');

/** The template as it would be deployed, packaged anew when its sources have changed. */
export async function packageService(): Promise<CloudFormationTemplate> {
  await ensurePackaged({
    projectDirectory: PROJECT,
    signal: AbortSignal.timeout(170_000),
    onStart: () => undefined,
  });
  return JSON.parse(await readFile(TEMPLATE_PATH, 'utf8')) as CloudFormationTemplate;
}
