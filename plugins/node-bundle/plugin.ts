import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { buildNodeBundle } from './build-node-bundle.ts';
import {
  announceTeardown,
  type DeployedGroup,
  describeGroup,
  refreshNodes,
  uploadBundle,
} from './deployment.ts';
import { userDataOf } from './user-data.ts';

interface StackParameter {
  readonly ParameterKey: string;
  ParameterValue: string;
}

/** What this plugin uses of the Serverless framework (osls 4), which has no types for it. */
interface Serverless {
  readonly serviceDir: string;
  readonly service: {
    readonly service: string;
    readonly custom: Readonly<Record<string, unknown>>;
    readonly provider: {
      readonly compiledCloudFormationTemplate: {
        readonly Resources: Record<string, { Properties: Record<string, unknown> }>;
      };
      stackParameters?: StackParameter[];
      /** The framework found nothing to change. */
      readonly shouldNotDeploy?: boolean;
    };
  };
  getProvider(name: 'aws'): {
    getStage(): string;
    getDeploymentPrefix(): string;
    getServerlessDeploymentBucketName(): Promise<string>;
    /** Region and credentials as the framework itself uses them, for any client. */
    getAwsSdkV3Config(): Promise<S3ClientConfig>;
  };
}
interface Writers {
  readonly log: { notice(message: string): void };
}

interface Settings {
  readonly entry: string;
  readonly userData: string;
  readonly launchTemplate: string;
}

/**
 * Ships the node with the stack.
 *
 * Package: builds the bundle and writes its key and hash into the launch template's user data, so that the same
 * sources give the same template ("No changes") and a new bundle a new launch template version. Deploy: uploads the
 * bundle before the stack update, because the first instances boot during it, and replaces running nodes after it.
 * Remove: announces it to the nodes first. The bundle lies below the service's prefix, which `sls remove` empties.
 */
export class NodeBundlePlugin {
  readonly hooks: Readonly<Record<string, () => Promise<void>>>;
  private readonly serverless: Serverless;
  private readonly writers: Writers;
  private before: DeployedGroup | undefined;
  private parameters: StackParameter[] | undefined;

  constructor(serverless: Serverless, _options: unknown, writers: Writers) {
    this.serverless = serverless;
    this.writers = writers;
    this.hooks = {
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.package(),
      'before:aws:deploy:deploy:createStack': () => this.holdParametersBack(),
      'after:aws:deploy:deploy:createStack': () => this.keepCapacity(),
      'after:aws:deploy:deploy:uploadArtifacts': () => this.upload(),
      'after:aws:deploy:deploy:updateStack': () => this.refresh(),
      'before:remove:remove': () => this.announceRemoval(),
    };
  }

  private async package(): Promise<void> {
    const { serviceDir, service } = this.serverless;
    const { entry, userData, launchTemplate } = service.custom['nodeBundle'] as Settings;
    const bundle = await buildNodeBundle({
      projectDirectory: serviceDir,
      entry,
      outputDirectory: this.outputDirectory(),
    });
    const text = await readFile(join(serviceDir, userData), 'utf8');
    const template = service.provider.compiledCloudFormationTemplate.Resources[launchTemplate];
    if (template === undefined)
      throw new Error(`nodeBundle.launchTemplate: there is no resource ${launchTemplate}`);
    const data = template.Properties['LaunchTemplateData'] as Record<string, unknown>;
    data['UserData'] = userDataOf(text, {
      Stage: this.serverless.getProvider('aws').getStage(),
      AutoScalingGroupName: this.name('autoScalingGroupName'),
      LaunchHook: this.name('launchHook'),
      TerminateHook: this.name('terminateHook'),
      BundleKey: this.bundleKey(bundle.sha256),
      BundleSha256: bundle.sha256,
    });
    this.say(`Node bundle ${bundle.sha256.slice(0, 12)}, ${Math.round(bundle.sizeBytes / 1024)} KiB`);
  }

  /**
   * The first stack holds nothing but the bucket, and CloudFormation refuses values for parameters that a template
   * does not have: "Parameter values specified for a template which does not require them."
   */
  private async holdParametersBack(): Promise<void> {
    const { provider } = this.serverless.service;
    this.parameters = provider.stackParameters;
    provider.stackParameters = [];
  }

  /** An update must not take back what scaling has added: the group keeps the capacity it has now. */
  private async keepCapacity(): Promise<void> {
    this.serverless.service.provider.stackParameters = this.parameters ?? [];
    this.before = await this.describe();
    if (this.before === undefined) return;
    for (const parameter of this.serverless.service.provider.stackParameters ?? []) {
      if (parameter.ParameterKey === 'DesiredCapacity') {
        parameter.ParameterValue = String(this.before.desiredCapacity);
      }
    }
  }

  private async upload(): Promise<void> {
    if (this.serverless.service.provider.shouldNotDeploy === true) return;
    const provider = this.serverless.getProvider('aws');
    const { sha256 } = JSON.parse(await readFile(join(this.outputDirectory(), 'bundle.json'), 'utf8')) as {
      sha256: string;
    };
    const outcome = await uploadBundle(new S3Client(await provider.getAwsSdkV3Config()), {
      bucket: await provider.getServerlessDeploymentBucketName(),
      key: this.bundleKey(sha256),
      path: join(this.outputDirectory(), `${sha256}.tgz`),
    });
    this.say(`Node bundle ${outcome}`);
  }

  private async refresh(): Promise<void> {
    if (this.serverless.service.provider.shouldNotDeploy === true || this.before === undefined) return;
    const after = await this.describe();
    if (after === undefined || after.launchTemplateVersion === this.before.launchTemplateVersion) return;
    const client = new AutoScalingClient(await this.clientConfig());
    const outcome = await refreshNodes(client, this.name('autoScalingGroupName'), after);
    this.say(`Replacing the nodes by launch template version ${after.launchTemplateVersion}: ${outcome}`);
  }

  private async announceRemoval(): Promise<void> {
    const stage = this.serverless.getProvider('aws').getStage();
    const client = new DynamoDBClient(await this.clientConfig());
    const outcome = await announceTeardown(client, { tableName: this.name('tableName'), stage });
    this.say(`Removal ${outcome}`);
  }

  private async describe(): Promise<DeployedGroup | undefined> {
    return await describeGroup(
      new AutoScalingClient(await this.clientConfig()),
      this.name('autoScalingGroupName'),
    );
  }

  private async clientConfig(): Promise<Pick<S3ClientConfig, 'region' | 'credentials'>> {
    const { region, credentials } = await this.serverless.getProvider('aws').getAwsSdkV3Config();
    return {
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
    };
  }

  private bundleKey(sha256: string): string {
    const provider = this.serverless.getProvider('aws');
    const prefix = `${provider.getDeploymentPrefix()}/${this.serverless.service.service}/${provider.getStage()}`;
    return `${prefix}/node/${sha256}.tgz`;
  }

  private outputDirectory(): string {
    return join(this.serverless.serviceDir, '.serverless', 'node');
  }

  /** A plain string of serverless.yml's `custom`. */
  private name(key: string): string {
    return String(this.serverless.service.custom[key]);
  }

  private say(message: string): void {
    this.writers.log.notice(message);
  }
}
