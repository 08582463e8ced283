import { ChordfsError } from '../../domain/errors.ts';
import type { NodeIdentity } from './membership.ts';

/** What the node asks of the instance metadata service (version 2: every request carries a session token). */
export interface InstanceMetadata {
  /** @throws ChordfsError `PEER_UNREACHABLE` when the service does not answer. */
  identity(signal: AbortSignal): Promise<NodeIdentity>;
  /** Where Auto Scaling is taking the instance (`InService`, `Terminated`, ...); undefined before it was decided. */
  targetLifecycleState(signal: AbortSignal): Promise<string | undefined>;
  /** Undefined unless EC2 is about to take a Spot instance away. */
  spotNotice(signal: AbortSignal): Promise<string | undefined>;
}

const DEFAULT_ENDPOINT = 'http://169.254.169.254';
/** Tokens are renewed well before they end. */
const TOKEN_TTL_SECONDS = 21_600;
const TOKEN_RENEW_MS = (TOKEN_TTL_SECONDS * 1_000) / 2;
/** The service is on the same host: slower than this means absent. */
const TIMEOUT_MS = 2_000;
/** No answer of the service is nearly this long; more is not read into memory. */
const LONGEST_ANSWER_BYTES = 64 * 1024;

export class HttpInstanceMetadata implements InstanceMetadata {
  readonly #endpoint: string;
  readonly #nowMs: () => number;
  /** A promise, so that requests made together share one token. */
  #token: { readonly value: Promise<string>; readonly renewAtMs: number } | undefined;

  /** @param endpoint As in AWS_EC2_METADATA_SERVICE_ENDPOINT; default: AWS's link-local address. */
  constructor(endpoint: string = DEFAULT_ENDPOINT, nowMs: () => number = () => performance.now()) {
    this.#endpoint = endpoint.replace(/\/$/, '');
    this.#nowMs = nowMs;
  }

  async identity(signal: AbortSignal): Promise<NodeIdentity> {
    const [instanceId, privateIp, publicIp, availabilityZone] = await Promise.all([
      this.#get('instance-id', signal),
      this.#get('local-ipv4', signal),
      this.#get('public-ipv4', signal),
      this.#get('placement/availability-zone', signal),
    ]);
    if (instanceId === undefined || privateIp === undefined) {
      throw new ChordfsError('PEER_UNREACHABLE', { service: 'instance metadata' });
    }
    return {
      instanceId,
      privateIp,
      publicIp: publicIp ?? privateIp,
      availabilityZone: availabilityZone ?? '',
    };
  }

  targetLifecycleState(signal: AbortSignal): Promise<string | undefined> {
    return this.#get('autoscaling/target-lifecycle-state', signal);
  }

  spotNotice(signal: AbortSignal): Promise<string | undefined> {
    return this.#get('spot/instance-action', signal);
  }

  /** The value at a path, undefined for 404. A refused token (the service restarted) is replaced once. */
  async #get(path: string, signal: AbortSignal): Promise<string | undefined> {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#request(`/latest/meta-data/${path}`, signal, {
        headers: { 'x-aws-ec2-metadata-token': await this.#sessionToken(signal) },
      });
      const text = await readText(response);
      if (response.status === 404) return undefined;
      if (response.ok) return text.trim();
      this.#token = undefined;
      if (response.status !== 401 || attempt > 0) {
        throw new ChordfsError('PEER_UNREACHABLE', { service: 'instance metadata', status: response.status });
      }
    }
  }

  async #sessionToken(signal: AbortSignal): Promise<string> {
    if (this.#token === undefined || this.#nowMs() >= this.#token.renewAtMs) {
      this.#token = { value: this.#newToken(signal), renewAtMs: this.#nowMs() + TOKEN_RENEW_MS };
    }
    const token = this.#token;
    try {
      return await token.value;
    } catch (error) {
      // Whoever comes next asks anew; a newer token is not thrown away for an older one's failure.
      if (this.#token === token) this.#token = undefined;
      throw error;
    }
  }

  async #newToken(signal: AbortSignal): Promise<string> {
    const response = await this.#request('/latest/api/token', signal, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL_SECONDS) },
    });
    const value = await readText(response);
    if (response.ok) return value;
    throw new ChordfsError('PEER_UNREACHABLE', { service: 'instance metadata', status: response.status });
  }

  async #request(path: string, signal: AbortSignal, init: RequestInit): Promise<Response> {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
      return await fetch(`${this.#endpoint}${path}`, { ...init, signal: limit, redirect: 'error' });
    } catch (cause) {
      signal.throwIfAborted();
      throw new ChordfsError('PEER_UNREACHABLE', { service: 'instance metadata' }, { cause });
    }
  }
}

async function readText(response: Response): Promise<string> {
  const length = Number(response.headers.get('content-length') ?? 0);
  if (length > LONGEST_ANSWER_BYTES)
    throw new ChordfsError('PEER_UNREACHABLE', { service: 'instance metadata' });
  return await response.text();
}
