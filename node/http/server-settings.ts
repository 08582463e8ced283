import { SERVER_VARIABLES } from '../../domain/node-environment.ts';
import { SettingError } from '../environment.ts';
import type { OnConflict } from '../files/files.ts';
import { type Credentials, parseCredentials } from './basic-auth.ts';
import type { FileServerOptions } from './file-server.ts';
import type { Theme } from './html.ts';
import { loadTls, type TlsOptions } from './tls-options.ts';

export interface ServerSettings {
  readonly options: Pick<FileServerOptions, 'onConflict' | 'theme' | 'basicAuth' | 'basicAuthUpload'>;
  readonly tls: TlsOptions | undefined;
  readonly hasAccessLog: boolean;
}

export const DEFAULT_SETTINGS: ServerSettings = {
  options: { onConflict: 'replace', theme: 'auto', basicAuth: undefined, basicAuthUpload: undefined },
  tls: undefined,
  hasAccessLog: true,
};

type Variables = Readonly<Record<string, string | undefined>>;

const CONFLICT_RULES: readonly OnConflict[] = ['replace', 'rename', 'refuse'];
const THEMES: readonly Theme[] = ['light', 'auto', 'dark'];
const SWITCH = ['on', 'off'] as const;

function choice<T extends string>(variables: Variables, name: string, choices: readonly T[], fallback: T): T {
  const value = variables[name];
  if (value === undefined || value === '') return fallback;
  const chosen = choices.find((each) => each === value);
  if (chosen === undefined)
    throw new SettingError(`${name} must be one of ${choices.join(', ')}, not "${value}"`);
  return chosen;
}

/** The message never holds the value: it is a password, or would have been one. */
function login(variables: Variables, name: string): Credentials | undefined {
  const value = variables[name];
  if (value === undefined || value === '') return undefined;
  const credentials = parseCredentials(value);
  if (credentials === undefined) throw new SettingError(`${name} must be user:password`);
  return credentials;
}

/** @throws SettingError that names the variable that is wrong, or TlsError. */
export function readServerSettings(variables: Variables, dataDirectory: string): ServerSettings {
  const { onConflict, theme, basicAuth, basicAuthUpload, accessLog } = SERVER_VARIABLES;
  return {
    options: {
      onConflict: choice(variables, onConflict, CONFLICT_RULES, 'replace'),
      theme: choice(variables, theme, THEMES, 'auto'),
      basicAuth: login(variables, basicAuth),
      basicAuthUpload: login(variables, basicAuthUpload),
    },
    tls: readTls(variables, dataDirectory),
    hasAccessLog: choice(variables, accessLog, SWITCH, 'on') === 'on',
  };
}

function readTls(variables: Variables, dataDirectory: string): TlsOptions | undefined {
  const path = (name: string) => (variables[name] === '' ? undefined : variables[name]);
  const serverCertificate = path(SERVER_VARIABLES.serverCertificate);
  const clientCertificate = path(SERVER_VARIABLES.clientCertificate);
  if (serverCertificate !== undefined)
    return loadTls({ serverCertificate, clientCertificate, dataDirectory });
  // Without TLS nobody would be asked for a certificate: a door that only looks locked.
  if (clientCertificate !== undefined)
    throw new SettingError(
      `${SERVER_VARIABLES.clientCertificate} needs ${SERVER_VARIABLES.serverCertificate}`,
    );
  return undefined;
}
