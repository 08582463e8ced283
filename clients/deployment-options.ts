import type { Command } from 'commander';

/** Which deployment a command asks, and how the SDK reaches it. */
export interface Deployment {
  readonly stage: string;
  /** `<service>-<stage>`: the name of the group, and the beginning of every other name. */
  readonly name: string;
  readonly clientConfig: {
    readonly region: string;
    readonly endpoint?: string;
    readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
}

/** The options by which every command that asks a deployment finds it. */
export function addDeploymentOptions(command: Command): Command {
  return command
    .option('--stage <stage>', 'stage of the deployment', 'dev')
    .option('--region <region>', 'region of the deployment', 'us-east-1')
    .option('--endpoint-url <url>', 'endpoint of a local cloud', 'http://127.0.0.1:4566')
    .option('--aws', 'ask AWS itself, with the credentials of the environment', false);
}

export function deploymentOf(command: Command): Deployment {
  const options = command.opts<{ stage: string; region: string; endpointUrl: string; aws: boolean }>();
  const { stage } = options;
  const name = `chordfs-${stage}`;
  if (options.aws) return { stage, name, clientConfig: { region: options.region } };
  return {
    stage,
    name,
    clientConfig: {
      region: options.region,
      endpoint: options.endpointUrl,
      // The local cloud takes anybody for the person at the keyboard, but the SDK insists on a signature.
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    },
  };
}
