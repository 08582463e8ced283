import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client } from '@aws-sdk/client-ec2';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { ItemStore } from '../../domain/table-writes.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import { buildNodeBundle } from './build-node-bundle.ts';
import { emptyBucket, uploadBundle } from './bundle-store.ts';
import { hasName } from './error-name.ts';
import { findNodes, firstSteps } from './first-steps.ts';
import { type Architecture, fetchMissingBuilds } from './native-builds.ts';
import { describeGroup } from './node-group.ts';
import { bringNodesTo, cancelRefresh } from './refresh.ts';
import { checkSettings, type Parameters, setting } from './settings.ts';
import { type DeployedStack, describeStack, isSettled, removalObstacle } from './stack.ts';
import { announceTeardown, endRetained, freeInstances, takeTeardownBack } from './teardown.ts';
import { dropRedundantDependencies, type Resources } from './tidy-template.ts';
import { userDataOf } from './user-data.ts';

interface StackParameter {
  readonly ParameterKey: string;
  ParameterValue: string;
}

/** What this plugin uses of the Serverless framework (osls 4), which has no types for it. */
interface Serverless {
  readonly serviceDir: string;
  readonly processedInput: { readonly commands: readonly string[] };
  readonly service: {
    readonly service: string;
    readonly custom: Readonly<Record<string, unknown>>;
    readonly provider: {
      /** Only commands that package or deploy have one. */
      readonly compiledCloudFormationTemplate?: {
        readonly Resources: Resources;
        readonly Parameters: Parameters;
      };
      stackParameters?: StackParameter[];
      /** The framework found nothing to change. */
      readonly shouldNotDeploy?: boolean;
    };
  };
  getProvider(name: 'aws'): {
    getStage(): string;
    readonly naming: { getStackName(): string };
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
  /** Of the instances. */
  readonly architecture: Architecture;
}

/**
 * Ships the node with the stack.
 *
 * Package: builds the bundle and writes its key and hash into the launch template's user data, so that the same
 * sources give the same template ("No changes") and a new bundle a new launch template version. Deploy: uploads the
 * bundle before the stack update, because the first instances boot during it; replaces running nodes after it; shows
 * where the nodes are. Remove: takes away what would keep the stack from going, and announces it to the nodes; a
 * removal that is refused after that is taken back at once, one that was interrupted by the next deploy.
 */
export class NodeBundlePlugin {
  readonly hooks: Readonly<Record<string, () => Promise<void>>>;
  private readonly serverless: Serverless;
  private readonly writers: Writers;
  private parameters: StackParameter[] = [];
  private isTeardownAnnounced = false;

  constructor(serverless: Serverless, _options: unknown, writers: Writers) {
    this.serverless = serverless;
    this.writers = writers;
    this.hooks = {
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.package(),
      'before:aws:deploy:deploy:createStack': () => this.holdParametersBack(),
      'after:aws:deploy:deploy:createStack': () => this.keepCapacity(),
      'after:aws:deploy:deploy:uploadArtifacts': () => this.upload(),
      'before:aws:deploy:deploy:updateStack': () => this.makeWay(),
      'after:aws:deploy:deploy:updateStack': () => this.refresh(),
      'after:deploy:finalize': () => this.show(),
      'after:info:info': () => this.show(),
      'before:remove:remove': () => this.prepareRemoval(),
      error: () => this.resumeAfterRefusal(),
    };
  }

  private async package(): Promise<void> {
    const { serviceDir, service, processedInput } = this.serverless;
    const { Resources, Parameters } = this.template();
    const { entry, userData, launchTemplate, architecture } = service.custom['nodeBundle'] as Settings;
    checkSettings(Parameters, architecture);
    // Packaging alone asks no network; what it makes without the instances' builds cannot be deployed.
    if (processedInput.commands[0] === 'deploy') await fetchMissingBuilds(serviceDir, architecture);
    const bundle = await buildNodeBundle({
      projectDirectory: serviceDir,
      entry,
      architecture,
      outputDirectory: this.outputDirectory(),
    });
    const text = await readFile(join(serviceDir, userData), 'utf8');
    const template = Resources[launchTemplate];
    if (template === undefined)
      throw new Error(`nodeBundle.launchTemplate: there is no resource ${launchTemplate}`);
    const data = template.Properties['LaunchTemplateData'] as Record<string, unknown>;
    data['UserData'] = userDataOf(text, {
      Stage: this.stage(),
      AutoScalingGroupName: this.name('autoScalingGroupName'),
      LaunchHook: this.name('launchHook'),
      TerminateHook: this.name('terminateHook'),
      BundleKey: this.bundleKey(bundle.sha256),
      BundleSha256: bundle.sha256,
    });
    dropRedundantDependencies(Resources);
    const remark = bundle.isForInstances
      ? ''
      : ', for this machine alone: `sls deploy` adds what instances need';
    this.say(
      `Node bundle ${bundle.sha256.slice(0, 12)}, ${Math.round(bundle.sizeBytes / 1024)} KiB${remark}`,
    );
  }

  /**
   * The first stack holds nothing but the bucket, and CloudFormation refuses values for parameters that a template
   * does not have: "Parameter values specified for a template which does not require them."
   */
  private async holdParametersBack(): Promise<void> {
    const { provider } = this.serverless.service;
    this.parameters = provider.stackParameters ?? [];
    provider.stackParameters = [];
  }

  /**
   * The size of a group that is there is scaling's. It is not read here and given back by the stack update, which may
   * be a quarter of an hour later: the template then names none.
   */
  private async keepCapacity(): Promise<void> {
    this.serverless.service.provider.stackParameters = this.parameters;
    const isThere = (await this.describe()) !== undefined;
    for (const parameter of this.parameters) {
      if (parameter.ParameterKey === 'KeepsCapacity') parameter.ParameterValue = String(isThere);
    }
  }

  private async upload(): Promise<void> {
    if (this.isUnchanged()) return;
    const provider = this.serverless.getProvider('aws');
    const bundle = JSON.parse(await readFile(join(this.outputDirectory(), 'bundle.json'), 'utf8')) as {
      readonly sha256: string;
      readonly isForInstances: boolean;
    };
    if (!bundle.isForInstances)
      throw new Error('this package lacks the native builds that instances need: deploy without --package');
    const outcome = await uploadBundle(new S3Client(await provider.getAwsSdkV3Config()), {
      bucket: await provider.getServerlessDeploymentBucketName(),
      key: this.bundleKey(bundle.sha256),
      path: join(this.outputDirectory(), `${bundle.sha256}.tgz`),
    });
    this.say(`Node bundle ${outcome}`);
  }

  /**
   * A stage that is deployed is there to stay, whatever an interrupted removal has said. And the group takes no other
   * launch template while nodes are being replaced.
   */
  private async makeWay(): Promise<void> {
    await this.resume();
    if (this.isUnchanged() || (await this.describe()) === undefined) return;
    const outcome = await cancelRefresh(await this.autoScaling(), this.name('autoScalingGroupName'));
    if (outcome === 'cancelled') this.say('Stopped the replacement of nodes by an earlier version');
  }

  private async refresh(): Promise<void> {
    const version = (await this.stack())?.outputs['NodeLaunchTemplateVersion'];
    if (version === undefined) return;
    const outcome = await bringNodesTo(await this.autoScaling(), this.name('autoScalingGroupName'), version);
    if (outcome !== undefined)
      this.say(`Replacing the nodes by launch template version ${version}: ${outcome}`);
  }

  private async show(): Promise<void> {
    const clients = { autoScaling: await this.autoScaling(), ec2: new EC2Client(await this.clientConfig()) };
    const nodes = await findNodes(clients, this.name('autoScalingGroupName'), () =>
      this.say('Waiting for the first node'),
    );
    const Parameters = this.serverless.service.provider.compiledCloudFormationTemplate?.Parameters;
    for (const line of firstSteps(
      nodes,
      Parameters === undefined
        ? undefined
        : {
            clientCidr: setting(Parameters, 'ClientCidr'),
            vpcCidr: setting(Parameters, 'VpcCidr'),
          },
    ))
      this.say(line);
  }

  /**
   * First what would refuse the removal later on, when the ring has been told. Then what the next deploy gives back;
   * then the announcement; last the instances that nothing brings back.
   */
  private async prepareRemoval(): Promise<void> {
    const stack = await this.stack();
    if (stack === undefined) return;
    const obstacle = removalObstacle(stack, this.stackName());
    if (obstacle !== undefined) throw new Error(`${this.stackName()} cannot be removed: ${obstacle}`);
    const [autoScaling, groupName] = [await this.autoScaling(), this.name('autoScalingGroupName')];
    const freed = await freeInstances(autoScaling, groupName);
    const bucket = await this.bucket();
    if (bucket !== undefined) {
      const config = await this.serverless.getProvider('aws').getAwsSdkV3Config();
      await emptyBucket(new S3Client(config), bucket);
    }
    this.isTeardownAnnounced = true;
    const outcome = await announceTeardown(await this.ring(), this.stage());
    this.say(`Removal ${outcome}; if it is interrupted, run it again, or \`sls deploy\` to keep the stage`);
    const ended = await endRetained(autoScaling, groupName);
    if (freed.length + ended.length > 0) this.say(`Let go: ${[...freed, ...ended].join(', ')}`);
  }

  /** The command has failed. A removal that CloudFormation has not begun must not leave the ring waiting for its end. */
  private async resumeAfterRefusal(): Promise<void> {
    if (!this.isTeardownAnnounced || !(await this.resume())) return;
    this.say('What instances boot from may be gone from the bucket: `sls deploy` puts it back');
  }

  /** @returns whether a ring had been told of a removal, and goes on. */
  private async resume(): Promise<boolean> {
    const stack = await this.stack();
    if (stack === undefined || !isSettled(stack)) return false;
    const isResumed = (await takeTeardownBack(await this.ring(), this.stage())) === 'taken back';
    if (isResumed) this.say('The announced removal is taken back: the ring goes on');
    return isResumed;
  }

  /** Undefined when there is no stack, or one that never got as far as its bucket. */
  private async bucket(): Promise<string | undefined> {
    try {
      return await this.serverless.getProvider('aws').getServerlessDeploymentBucketName();
    } catch (error) {
      // The framework's own removal says so better, if it minds.
      if (hasName(error, 'ServerlessError', 'ValidationError')) return undefined;
      throw error;
    }
  }

  private template(): { readonly Resources: Resources; readonly Parameters: Parameters } {
    const template = this.serverless.service.provider.compiledCloudFormationTemplate;
    if (template === undefined) throw new Error('the framework has compiled no template');
    return template;
  }

  private isUnchanged(): boolean {
    return this.serverless.service.provider.shouldNotDeploy === true;
  }

  private async describe(): ReturnType<typeof describeGroup> {
    return await describeGroup(await this.autoScaling(), this.name('autoScalingGroupName'));
  }

  private stage(): string {
    return this.serverless.getProvider('aws').getStage();
  }

  private stackName(): string {
    return this.serverless.getProvider('aws').naming.getStackName();
  }

  private async stack(): Promise<DeployedStack | undefined> {
    return await describeStack(new CloudFormationClient(await this.clientConfig()), this.stackName());
  }

  private async ring(): Promise<ItemStore> {
    return dynamodbItemStore(new DynamoDBClient(await this.clientConfig()), this.name('tableName'));
  }

  private async autoScaling(): Promise<AutoScalingClient> {
    return new AutoScalingClient(await this.clientConfig());
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
