import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildNodeBundle, type NodeBundle } from './build-node-bundle.ts';
import { userDataOf } from './user-data.ts';

/** What this plugin uses of the Serverless framework (osls 4), which has no types for it. */
export interface Serverless {
  readonly serviceDir: string;
  readonly service: {
    readonly service: string;
    readonly custom: Readonly<Record<string, unknown>>;
    readonly provider: {
      readonly compiledCloudFormationTemplate: {
        readonly Resources: Record<string, { Properties: Record<string, unknown> }>;
      };
    };
  };
  getProvider(name: 'aws'): { getStage(): string; getDeploymentPrefix(): string };
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
 * Ships the node with the stack. At package time it builds the bundle and writes its key and hash into the launch
 * template's user data: same sources, same template, "No changes"; a new bundle, a new launch template version.
 */
export class NodeBundlePlugin {
  readonly hooks: Readonly<Record<string, () => Promise<void>>>;
  private readonly serverless: Serverless;
  private readonly writers: Writers;

  constructor(serverless: Serverless, _options: unknown, writers: Writers) {
    this.serverless = serverless;
    this.writers = writers;
    this.hooks = {
      // After the cleanup of .serverless, before anything is written from the template.
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.package(),
    };
  }

  private settings(): Settings {
    return this.serverless.service.custom['nodeBundle'] as Settings;
  }

  /** Below the service's own prefix, which `sls remove` empties and pruning of old deployments leaves alone. */
  bundleKey(bundle: NodeBundle): string {
    const provider = this.serverless.getProvider('aws');
    const prefix = `${provider.getDeploymentPrefix()}/${this.serverless.service.service}/${provider.getStage()}`;
    return `${prefix}/node/${bundle.sha256}.tgz`;
  }

  private async package(): Promise<void> {
    const { serviceDir, service } = this.serverless;
    const { entry, userData, launchTemplate } = this.settings();
    const bundle = await buildNodeBundle({
      projectDirectory: serviceDir,
      entry,
      outputDirectory: join(serviceDir, '.serverless', 'node'),
    });
    const text = await readFile(join(serviceDir, userData), 'utf8');
    const template = service.provider.compiledCloudFormationTemplate.Resources[launchTemplate];
    if (template === undefined)
      throw new Error(`nodeBundle.launchTemplate: there is no resource ${launchTemplate}`);
    const data = template.Properties['LaunchTemplateData'] as Record<string, unknown>;
    data['UserData'] = userDataOf(text, {
      ...this.names(),
      BundleKey: this.bundleKey(bundle),
      BundleSha256: bundle.sha256,
    });
    this.writers.log.notice(
      `Node bundle ${bundle.sha256.slice(0, 12)}, ${Math.round(bundle.sizeBytes / 1024)} KiB`,
    );
  }

  /** Values of the user data that are plain strings of serverless.yml, not resources of the template. */
  private names(): Readonly<Record<string, string>> {
    const { custom } = this.serverless.service;
    return {
      Stage: this.serverless.getProvider('aws').getStage(),
      AutoScalingGroupName: String(custom['autoScalingGroupName']),
      LaunchHook: String(custom['launchHook']),
      TerminateHook: String(custom['terminateHook']),
    };
  }
}
