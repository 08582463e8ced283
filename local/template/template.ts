import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** A CloudFormation template as `sls package` writes it: JSON, long forms of the intrinsic functions only. */
const resourceSchema = z.object({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DependsOn: z.union([z.string(), z.array(z.string())]).optional(),
  Condition: z.string().optional(),
});

const parameterSchema = z.looseObject({
  Type: z.string(),
  Default: z.union([z.string(), z.number(), z.boolean()]).optional(),
  AllowedPattern: z.string().optional(),
  AllowedValues: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(),
  MinValue: z.coerce.number().optional(),
  MaxValue: z.coerce.number().optional(),
  MinLength: z.coerce.number().optional(),
  MaxLength: z.coerce.number().optional(),
  ConstraintDescription: z.string().optional(),
});

const templateSchema = z.looseObject({
  Parameters: z.record(z.string(), parameterSchema).default({}),
  Mappings: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.unknown()))).default({}),
  Conditions: z.record(z.string(), z.unknown()).default({}),
  Resources: z.record(z.string(), resourceSchema),
  Outputs: z
    .record(z.string(), z.looseObject({ Value: z.unknown(), Condition: z.string().optional() }))
    .default({}),
});

export type Template = z.infer<typeof templateSchema>;
export type ParameterDefinition = z.infer<typeof parameterSchema>;

/** What is wrong with a template or with the values given to it, said so that its author can mend it. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

export function parseTemplate(value: unknown): Template {
  const parsed = templateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new TemplateError(`not a CloudFormation template: ${z.prettifyError(parsed.error)}`);
}

/** @throws TemplateError when the file is missing or is not a template. */
export async function loadTemplate(path: string): Promise<Template> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TemplateError(`cannot read the template ${path}: package it first`, { cause });
  }
  try {
    return parseTemplate(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof TemplateError) throw cause;
    throw new TemplateError(`the template ${path} is not JSON`, { cause });
  }
}
