import { createHmac, timingSafeEqual } from 'node:crypto';
import { ChordfsError } from '../../domain/errors.ts';
import type { MemberKey } from './tls-port.ts';

/**
 * How members know each other over HTTP: every request carries an HMAC-SHA256 of the cluster key over what it asks
 * for. The signature covers the digest of the frame's head, and the head names the checksum of any bytes after it, so
 * nothing in a request can be changed on the way. Every operation is safe to repeat, so a replayed request changes
 * nothing that its first run did not.
 */

export interface PeerCredentials {
  readonly ringId: string;
  /** 32 random bytes shared by the members of one ring. Secret: never logged. */
  readonly clusterKey: Uint8Array;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  /** Lower-case hex SHA-256 of the frame's head. */
  readonly headSha256: string;
}

const SIGNATURE_HEADER = 'x-chordfs-signature';
const TIMESTAMP_HEADER = 'x-chordfs-timestamp';
const RING_HEADER = 'x-chordfs-ring';
export const HEAD_DIGEST_HEADER = 'x-chordfs-head-sha256';

/**
 * How far two members' clocks may differ. Lowered: a node with a bad clock drops out of the data plane. Raised: a
 * recorded request can be replayed longer. The same tolerance as AWS's own request signatures.
 */
const MAX_CLOCK_SKEW_MS = 15 * 60_000;

function signature(
  request: SignedRequest,
  timestamp: string,
  { ringId, clusterKey }: PeerCredentials,
): Buffer {
  return createHmac('sha256', clusterKey)
    .update(`${request.method}\n${request.path}\n${timestamp}\n${ringId}\n${request.headSha256}`)
    .digest();
}

/** The headers that prove to another member who asks. */
export function signPeerRequest(
  request: SignedRequest & { readonly nowMs: number },
  credentials: PeerCredentials,
): Readonly<Record<string, string>> {
  const timestamp = String(request.nowMs);
  return {
    [TIMESTAMP_HEADER]: timestamp,
    [RING_HEADER]: credentials.ringId,
    [HEAD_DIGEST_HEADER]: request.headSha256,
    [SIGNATURE_HEADER]: signature(request, timestamp, credentials).toString('hex'),
  };
}

/** What members of one ring open TLS to each other with. Another use of the key than signing, so another key. */
export function memberKeyOf({ ringId, clusterKey }: PeerCredentials): MemberKey {
  return { identity: ringId, key: createHmac('sha256', clusterKey).update('chordfs member tls').digest() };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

function header(headers: Headers, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

/**
 * Checks a request by its headers alone, so that nothing of a stranger's body is read.
 *
 * @returns the digest that the frame's head must have.
 * @throws ChordfsError `UNAUTHORIZED` for a bad signature or clock, `FORBIDDEN` for a member of another ring.
 */
export function verifyPeerRequest(
  request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Headers;
    readonly nowMs: number;
  },
  credentials: PeerCredentials,
): string {
  const timestamp = header(request.headers, TIMESTAMP_HEADER);
  const headSha256 = header(request.headers, HEAD_DIGEST_HEADER);
  const given = Buffer.from(header(request.headers, SIGNATURE_HEADER), 'hex');
  const expected = signature({ ...request, headSha256 }, timestamp, credentials);
  if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) {
    // The ring id tells a stale member from a stranger; it is looked at only to choose the error, never to let pass.
    const isOtherRing = header(request.headers, RING_HEADER) !== credentials.ringId;
    throw new ChordfsError(isOtherRing ? 'FORBIDDEN' : 'UNAUTHORIZED');
  }
  if (!(Math.abs(request.nowMs - Number(timestamp)) <= MAX_CLOCK_SKEW_MS))
    throw new ChordfsError('UNAUTHORIZED');
  return headSha256;
}
