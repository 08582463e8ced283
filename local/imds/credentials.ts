import { randomBytes } from 'node:crypto';
import type { Caller } from '../service.ts';

/** Temporary credentials as STS and the metadata service hand them out. */
export interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** Which role an access key of this cloud belongs to. Nothing verifies signatures: a loopback cloud has no secrets. */
export interface Credentials {
  /** New keys for a role, valid six hours as on EC2. The session says who uses them. */
  issue(roleArn: string, session?: string): TemporaryCredentials;
  /** Who signs with this key; keys that were not issued here are the person at the keyboard. */
  callerOf(accessKeyId: string): Caller;
}

const VALID_MS = 6 * 60 * 60 * 1000;
/** Keys are forgotten, oldest first, beyond this many: instances refresh hourly, so a long run would hoard them. */
const MAX_KEYS = 10_000;

export function createCredentials(now: () => number = Date.now): Credentials {
  const holders = new Map<string, { readonly roleArn: string; readonly session: string | undefined }>();
  return {
    issue(roleArn, session) {
      const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
      holders.set(accessKeyId, { roleArn, session });
      const oldest = holders.keys().next();
      if (holders.size > MAX_KEYS && !oldest.done) holders.delete(oldest.value);
      return {
        accessKeyId,
        secretAccessKey: randomBytes(30).toString('base64'),
        sessionToken: randomBytes(48).toString('base64'),
        expiration: new Date(now() + VALID_MS),
      };
    },
    callerOf: (accessKeyId) => ({ roleArn: undefined, ...holders.get(accessKeyId), accessKeyId }),
  };
}
