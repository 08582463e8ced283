import { parse } from 'yaml';
import { z } from 'zod';
import { type AgentConfiguration, parseAgentConfiguration } from './agent-configuration.ts';

/** What the local cloud takes out of an instance's user data: what cloud-init would write, read instead of written. */
export interface UserData {
  /** /etc/chordfs/node.env, line by line. */
  readonly environment: Readonly<Record<string, string>>;
  /** Undefined when the user data configures no agent. */
  readonly agent: AgentConfiguration | undefined;
  /** The archive that the boot script downloads; undefined when it downloads none. */
  readonly bundle: BundleReference | undefined;
  /** Names of the parameters that the boot script asks Parameter Store for. */
  readonly parameters: readonly string[];
}

/** Where a node bundle lies, and the checksum that it is verified by: its name. */
export interface BundleReference {
  readonly bucket: string;
  readonly key: string;
  readonly sha256: string;
}

function bundleOf(text: string): BundleReference | undefined {
  const [, bucket, key, sha256] = /s3:\/\/([a-z0-9.-]+)\/([^\s'"]*?([0-9a-f]{64})\.tgz)/.exec(text) ?? [];
  return bucket === undefined || key === undefined || sha256 === undefined
    ? undefined
    : { bucket, key, sha256 };
}

/** The script asks for one name after another, all below one path. */
function parametersOf(text: string): readonly string[] {
  const [, path] = /ssm get-parameters[^\n]*--names '([^']+)'/.exec(text) ?? [];
  const [, names = ''] = /for NAME in ([a-z -]+); do/.exec(text) ?? [];
  return path === undefined ? [] : names.split(' ').map((name) => path + name);
}

const ENVIRONMENT_PATH = '/etc/chordfs/node.env';
const AGENT_PATH = '/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json';

const cloudConfig = z.object({
  write_files: z
    .array(z.object({ path: z.string(), content: z.string().default(''), encoding: z.string().optional() }))
    .default([]),
});

const BASE64_NAMES = ['b64', 'base64'];

function contentOf({ content, encoding }: { content: string; encoding?: string | undefined }): string {
  if (encoding === undefined || encoding === 'text/plain') return content;
  if (BASE64_NAMES.includes(encoding)) return Buffer.from(content, 'base64').toString('utf8');
  throw new Error(`user data: a file has the encoding ${encoding}, which the local cloud cannot read`);
}

/** `KEY=value` lines as systemd's EnvironmentFile reads them: comments, blank lines and one pair of quotes. */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const entries = text.split('\n').flatMap((line): [string, string][] => {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (match === null) return [];
    const [, key = '', raw = ''] = match;
    const value = raw.trim();
    const quoted = /^"(.*)"$/.exec(value) ?? /^'(.*)'$/.exec(value);
    return [[key, quoted?.[1] ?? value]];
  });
  return Object.fromEntries(entries);
}

/**
 * Reads a `#cloud-config`.
 * @throws Error that names what is wrong: a template that cannot boot should fail where a person sees it.
 */
export function parseUserData(text: string): UserData {
  if (!text.startsWith('#cloud-config')) throw new Error('user data does not start with #cloud-config');
  const parsed = cloudConfig.safeParse(parse(text));
  if (!parsed.success) throw new Error(`user data is no cloud-config: ${z.prettifyError(parsed.error)}`);
  const files = new Map(parsed.data.write_files.map((file) => [file.path, contentOf(file)]));
  const environment = files.get(ENVIRONMENT_PATH);
  if (environment === undefined) throw new Error(`user data writes no ${ENVIRONMENT_PATH}`);
  const agent = files.get(AGENT_PATH);
  return {
    environment: parseEnvironmentFile(environment),
    agent: agent === undefined ? undefined : parseAgentConfiguration(agent),
    bundle: bundleOf(text),
    parameters: parametersOf(text),
  };
}
