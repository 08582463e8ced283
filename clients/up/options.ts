import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SERVER_VARIABLES } from '../../domain/node-environment.ts';
import type { CloudOptions } from '../../local/cloud.ts';
import { parseByteSize } from '../byte-size.ts';

/**
 * Instances take the host parts after the first one up to 250, in 127.10.0.x and 127.0.0.x; instances that replace
 * others need room beside the largest group.
 */
const MAX_GROUP_SIZE = 100;
const MAX_FIRST_HOST = 250 - MAX_GROUP_SIZE;
/** Below this a volume cannot hold the chunks in flight, let alone a file. */
const MIN_VOLUME_BYTES = 32 * 2 ** 20;
/** At 1000 an hour of the control plane passes in 3.6 s; beyond that, process starts take longer than timeouts. */
const MAX_TIME_SCALE = 1000;

interface RawOptions {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly volume: number;
  readonly threshold: number;
  readonly scaleIn: boolean;
  readonly timeScale: number;
  readonly dir?: string;
  readonly port: number;
  readonly firstHost: number;
  readonly onConflict: string;
  readonly theme: string;
  readonly json: boolean;
}

export interface UpOptions {
  readonly cloud: CloudOptions;
  /** Machine-readable output: one ready line, then one line per event, and nothing else on stdout. */
  readonly json: boolean;
}

function wholeNumber(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < lowest || value > highest) {
      throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
    }
    return value;
  };
}

function timeScale(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value < 1 || value > MAX_TIME_SCALE) {
    throw new InvalidArgumentError(`It must be a number from 1 (real time) to ${MAX_TIME_SCALE}.`);
  }
  return value;
}

function volumeSize(text: string): number {
  const sizeBytes = parseByteSize(text);
  if (sizeBytes === undefined) throw new InvalidArgumentError('Write it like 256MiB, 1GiB or 500MB.');
  if (sizeBytes < MIN_VOLUME_BYTES) throw new InvalidArgumentError('It must be at least 32MiB.');
  return sizeBytes;
}

function directory(text: string): string {
  const path = resolve(text);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (text === '' || (stats !== undefined && !stats.isDirectory())) {
    throw new InvalidArgumentError('It must be a directory, or a path where one can be made.');
  }
  return path;
}

/** Every process of a machine can read every command line. */
const SECRETS_HELP = `
Logins and certificates are taken from the environment, so that no password stands in a command line:
  ${SERVER_VARIABLES.basicAuth}          user:password for everything
  ${SERVER_VARIABLES.basicAuthUpload}   user:password for changes
  ${SERVER_VARIABLES.serverCertificate}  PEM file with certificate and key: the nodes speak HTTPS
  ${SERVER_VARIABLES.clientCertificate}  PEM file of the certificate that clients must present`;

/** The options of `chordfs up`, each validated alone. */
export function addUpOptions(command: Command): Command {
  const group = wholeNumber(0, MAX_GROUP_SIZE);
  return command
    .addOption(new Option('--desired <count>', 'instances to start with').default(2).argParser(group))
    .addOption(new Option('--min <count>', 'smallest size of the group').default(1).argParser(group))
    .addOption(new Option('--max <count>', 'largest size of the group').default(5).argParser(group))
    .addOption(
      new Option('--volume <size>', "size of each instance's data volume")
        .default(256 * 2 ** 20, '256MiB')
        .argParser(volumeSize),
    )
    .addOption(
      new Option('--threshold <percent>', 'how full a volume may get before the group grows')
        .default(70)
        .argParser(wholeNumber(1, 99)),
    )
    .option('--scale-in', 'let the group shrink again when fewer nodes would do', false)
    .addOption(
      new Option('--time-scale <factor>', "how many times faster the cloud's minutes pass")
        .default(20)
        .argParser(timeScale),
    )
    .addOption(
      new Option('--dir <directory>', 'keep state and volumes there (default: temporary)').argParser(
        directory,
      ),
    )
    .addOption(
      new Option('--port <port>', 'port of the endpoint on 127.0.0.1; 0 takes a free one')
        .default(4566)
        .argParser(wholeNumber(0, 65_535)),
    )
    .addOption(
      new Option(
        '--first-host <number>',
        'instance n gets 127.10.0.(number + n); lets two clouds run at once',
      )
        .default(10)
        .argParser(wholeNumber(1, MAX_FIRST_HOST)),
    )
    .addOption(
      new Option('--on-conflict <rule>', 'what an upload of an existing name does')
        .default('replace')
        .choices(['replace', 'rename', 'refuse']),
    )
    .addOption(
      new Option('--theme <theme>', "colours of the nodes' pages")
        .default('auto')
        .choices(['light', 'auto', 'dark']),
    )
    .addHelpText('after', SECRETS_HELP)
    .option('--json', 'one JSON line when ready, then one per event, and nothing else', false);
}

/** Validates the options against each other; undefined problem means none. */
export function upOptions(command: Command): UpOptions | { readonly problem: string } {
  const raw = command.opts<RawOptions>();
  if (raw.max < 1) return { problem: '--max must be at least 1.' };
  if (raw.min > raw.desired) {
    return { problem: `--min (${raw.min}) must not be greater than --desired (${raw.desired}).` };
  }
  if (raw.desired > raw.max) {
    return { problem: `--desired (${raw.desired}) must not be greater than --max (${raw.max}).` };
  }
  return {
    json: raw.json,
    cloud: {
      desired: raw.desired,
      min: raw.min,
      max: raw.max,
      volumeSizeBytes: raw.volume,
      threshold: raw.threshold,
      scaleIn: raw.scaleIn,
      timeScale: raw.timeScale,
      directory: raw.dir,
      port: raw.port,
      firstHost: raw.firstHost,
      onConflict: raw.onConflict,
      theme: raw.theme,
    },
  };
}

/** Of an environment, what is for the nodes; paths are made absolute, since nodes run in folders of their own. */
export function secretsIn(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const { basicAuth, basicAuthUpload, serverCertificate, clientCertificate } = SERVER_VARIABLES;
  const entries = [basicAuth, basicAuthUpload, serverCertificate, clientCertificate].flatMap((name) => {
    const value = variables[name] ?? '';
    const isPath = name === serverCertificate || name === clientCertificate;
    return value === '' ? [] : [[name, isPath ? resolve(value) : value]];
  });
  return Object.fromEntries(entries);
}
