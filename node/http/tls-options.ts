import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { createSecureContext } from 'node:tls';

export interface TlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** With client certificates: only who presents one of them gets in. */
  readonly ca?: Buffer;
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
}

export interface TlsFiles {
  /** PEM with certificate and private key. */
  readonly serverCertificate: string;
  /** PEM of the certificate that clients must present. */
  readonly clientCertificate?: string | undefined;
  /** Where files are kept: a private key must not lie there. */
  readonly dataDirectory: string;
}

/** `exitCode` as uploadserver's: 3 inside the served folder, 4 missing or unreadable, 5 not usable for TLS. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
  readonly exitCode: 3 | 4 | 5;
  constructor(message: string, exitCode: 3 | 4 | 5, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

function readPem(path: string, dataDirectory: string): Buffer {
  let resolved: string;
  let pem: Buffer;
  try {
    resolved = realpathSync(path);
    pem = readFileSync(resolved);
  } catch (cause) {
    throw new TlsError(`Certificate file ${path} cannot be read`, 4, { cause });
  }
  // At the first start the folder is not there yet.
  const folder = existsSync(dataDirectory) ? realpathSync(dataDirectory) : resolve(dataDirectory);
  if (resolved.startsWith(`${folder}${sep}`)) {
    throw new TlsError(`Certificate file ${path} lies inside the data folder; keep it elsewhere`, 3);
  }
  return pem;
}

/** @throws TlsError */
export function loadTls({ serverCertificate, clientCertificate, dataDirectory }: TlsFiles): TlsOptions {
  const pem = readPem(serverCertificate, dataDirectory);
  const ca = clientCertificate === undefined ? undefined : readPem(clientCertificate, dataDirectory);
  const server = { cert: pem, key: pem };
  const options = ca === undefined ? server : { ...server, ca, requestCert: true, rejectUnauthorized: true };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new TlsError(
      `Certificate file ${serverCertificate} is not usable: it needs certificate and key`,
      5,
      { cause },
    );
  }
  return options;
}
