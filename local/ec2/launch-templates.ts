import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AwsError } from '../service.ts';

const tag = z.object({ Key: z.string(), Value: z.string() });

/** The parts of `LaunchTemplateData` that the local cloud acts on; the rest is kept and shown as given. */
const launchTemplateData = z.looseObject({
  ImageId: z.string().default('ami-local'),
  InstanceType: z.string().default('t3.micro'),
  /** Base64. */
  UserData: z.string().optional(),
  IamInstanceProfile: z.looseObject({ Arn: z.string().optional(), Name: z.string().optional() }).optional(),
  BlockDeviceMappings: z
    .array(
      z.looseObject({
        DeviceName: z.string().optional(),
        Ebs: z.looseObject({ VolumeSize: z.coerce.number().positive().optional() }).optional(),
      }),
    )
    .default([]),
  TagSpecifications: z
    .array(z.looseObject({ ResourceType: z.string(), Tags: z.array(tag).default([]) }))
    .default([]),
  MetadataOptions: z
    .looseObject({ InstanceMetadataTags: z.string().optional(), HttpTokens: z.string().optional() })
    .optional(),
  SecurityGroupIds: z.array(z.string()).optional(),
  NetworkInterfaces: z.array(z.looseObject({ SubnetId: z.string().optional() })).optional(),
});
export type LaunchTemplateData = z.infer<typeof launchTemplateData>;

export interface LaunchTemplateVersion {
  readonly number: number;
  readonly createdMs: number;
  readonly description: string | undefined;
  readonly data: LaunchTemplateData;
}

export interface LaunchTemplate {
  readonly launchTemplateId: string;
  readonly name: string;
  readonly createdMs: number;
  defaultVersion: number;
  /** Ascending by number. */
  readonly versions: LaunchTemplateVersion[];
}

/** How AWS's APIs point at a template: by id or by name. */
export interface TemplateName {
  readonly LaunchTemplateId?: string | undefined;
  readonly LaunchTemplateName?: string | undefined;
}

/** A new id in AWS's form, for example `i-0123456789abcdef0`. */
export function resourceId(prefix: string): string {
  return `${prefix}-0${randomBytes(8).toString('hex')}`;
}

export class LaunchTemplates {
  private readonly templates: LaunchTemplate[];
  private readonly now: () => number;

  constructor(templates: readonly LaunchTemplate[], now: () => number) {
    this.templates = [...templates];
    this.now = now;
  }

  list(): readonly LaunchTemplate[] {
    return this.templates;
  }

  /**
   * Creates the template of that name, or adds a version when the data differ from the latest one.
   * @throws Error when the data are not what EC2 accepts.
   */
  put(name: string, data: unknown, description: string | undefined): LaunchTemplate {
    const parsed = launchTemplateData.safeParse(data);
    if (!parsed.success) throw new Error(`launch template ${name}: ${z.prettifyError(parsed.error)}`);
    let template = this.templates.find((candidate) => candidate.name === name);
    if (template === undefined) {
      const launchTemplateId = resourceId('lt');
      template = { launchTemplateId, name, createdMs: this.now(), defaultVersion: 1, versions: [] };
      this.templates.push(template);
    }
    const latest = template.versions.at(-1);
    if (latest === undefined || !isDeepStrictEqual(latest.data, parsed.data)) {
      const number = (latest?.number ?? 0) + 1;
      template.versions.push({ number, createdMs: this.now(), description, data: parsed.data });
    }
    return template;
  }

  delete(launchTemplateId: string): void {
    const index = this.templates.findIndex((template) => template.launchTemplateId === launchTemplateId);
    if (index !== -1) this.templates.splice(index, 1);
  }

  /** @throws AwsError `InvalidLaunchTemplateId.NotFound` or `InvalidLaunchTemplateName.NotFoundException`. */
  find({ LaunchTemplateId, LaunchTemplateName }: TemplateName): LaunchTemplate {
    const found = this.templates.find((template) =>
      LaunchTemplateId === undefined
        ? template.name === LaunchTemplateName
        : template.launchTemplateId === LaunchTemplateId,
    );
    if (found !== undefined) return found;
    if (LaunchTemplateId !== undefined) {
      const message = `The specified launch template, with template ID ${LaunchTemplateId}, does not exist.`;
      throw new AwsError('InvalidLaunchTemplateId.NotFound', message);
    }
    const message = `The specified launch template, with template name ${LaunchTemplateName}, does not exist.`;
    throw new AwsError('InvalidLaunchTemplateName.NotFoundException', message);
  }

  /** A number, `$Latest` or `$Default`. @throws AwsError `InvalidLaunchTemplateId.VersionNotFound` */
  version(template: LaunchTemplate, version: string): LaunchTemplateVersion {
    const latest = template.versions.at(-1)?.number ?? 0;
    const special: Readonly<Record<string, number>> = {
      $Latest: latest,
      $Default: template.defaultVersion,
    };
    const number = special[version] ?? Number(version);
    const found = template.versions.find((candidate) => candidate.number === number);
    if (found !== undefined) return found;
    const message = `Could not find the specified version ${version} for the launch template with ID ${template.launchTemplateId}.`;
    throw new AwsError('InvalidLaunchTemplateId.VersionNotFound', message);
  }
}
