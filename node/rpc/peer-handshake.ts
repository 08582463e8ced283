import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ChordfsError } from '../../domain/errors.ts';
import { isIdentifier } from '../../domain/identifier.ts';
import { badArgument } from './rpc-error.ts';
import { textOf } from './rpc-message.ts';
import type { PeerIdentity, RpcSession } from './rpc-methods.ts';

/**
 * How two members make sure of each other before the first call on a connection.
 *
 * Both hold the ring's cluster key. Each proves it with an HMAC-SHA256 over everything that makes this conversation
 * this one: who proves (so that no proof can be reflected), ring, epoch, both identities, both nonces. The key
 * itself never travels. Because ring and epoch are in it, a node left over from an older ring fails like a stranger.
 *
 *     caller                                  callee
 *     peer_hello(ring, epoch, identity, nonceC)  ->
 *                                             <- [identity, nonceS, proofS]
 *     peer_prove(proofC)                      ->
 *                                             <- nil
 *
 * The callee's identity tells the caller whether the process at that address is still the one it means: instances
 * die, and their addresses are used again.
 */

export interface ClusterCredentials {
  /** 32 random bytes, the same on every member. */
  readonly clusterKey: Uint8Array;
  readonly ringId: string;
  readonly epoch: number;
  readonly self: PeerIdentity;
}

const NONCE_BYTES = 16;
const PROTOCOL = 'chordfs-peer-1';

interface Transcript {
  readonly caller: PeerIdentity;
  readonly callee: PeerIdentity;
  readonly callerNonce: Uint8Array;
  readonly calleeNonce: Uint8Array;
}

function prove(
  role: 'caller' | 'callee',
  { clusterKey, ringId, epoch }: ClusterCredentials,
  { caller, callee, callerNonce, calleeNonce }: Transcript,
): Buffer {
  // JSON keeps the fields apart whatever they contain.
  const transcript = JSON.stringify([
    PROTOCOL,
    role,
    ringId,
    epoch,
    [caller.id, caller.instanceId, caller.incarnation],
    [callee.id, callee.instanceId, callee.incarnation],
    Buffer.from(callerNonce).toString('hex'),
    Buffer.from(calleeNonce).toString('hex'),
  ]);
  return createHmac('sha256', clusterKey).update(transcript).digest();
}

function isProof(given: unknown, expected: Buffer): boolean {
  return given instanceof Uint8Array && given.length === expected.length && timingSafeEqual(given, expected);
}

function identityFrom(value: unknown): PeerIdentity | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [id, instance, incarnation] = value as unknown[];
  const instanceId = textOf(instance);
  if (!isIdentifier(id) || instanceId === undefined || instanceId.length > 128) return undefined;
  if (typeof incarnation !== 'number' || !Number.isSafeInteger(incarnation)) return undefined;
  return { id, instanceId, incarnation };
}

function identityToWire({ id, instanceId, incarnation }: PeerIdentity): unknown {
  return [id, instanceId, incarnation];
}

/** The callee's half, one per connection. */
export class HandshakeResponder {
  readonly #credentials: ClusterCredentials;
  #expected: { readonly proof: Buffer; readonly caller: PeerIdentity } | undefined;

  constructor(credentials: ClusterCredentials) {
    this.#credentials = credentials;
  }

  /** @throws BadCallError for nonsense, ChordfsError `FORBIDDEN` for another ring. */
  hello(params: readonly unknown[]): unknown {
    const [ringId, epoch, identity, callerNonce] = params;
    const caller = identityFrom(identity);
    if (caller === undefined || !(callerNonce instanceof Uint8Array) || callerNonce.length !== NONCE_BYTES) {
      throw badArgument('peer_hello', 'malformed');
    }
    if (textOf(ringId) !== this.#credentials.ringId || epoch !== this.#credentials.epoch) {
      throw new ChordfsError('FORBIDDEN', { reason: 'another ring' });
    }
    const callee = this.#credentials.self;
    const transcript = { caller, callee, callerNonce, calleeNonce: randomBytes(NONCE_BYTES) };
    this.#expected = { caller, proof: prove('caller', this.#credentials, transcript) };
    return [identityToWire(callee), transcript.calleeNonce, prove('callee', this.#credentials, transcript)];
  }

  /** Who the caller is. One try for each hello. @throws ChordfsError `UNAUTHORIZED` */
  prove(params: readonly unknown[]): PeerIdentity {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected === undefined || !isProof(params[0], expected.proof)) {
      throw new ChordfsError('UNAUTHORIZED', {});
    }
    return expected.caller;
  }
}

/** What the caller needs of a connection: see `RpcConnection.call`. */
export type CallMethod = (method: string, params: readonly unknown[]) => Promise<unknown>;

/**
 * The caller's half. Resolves to who is at the other end.
 * @throws ChordfsError `UNAUTHORIZED` when the other end does not hold the key.
 */
export async function shakeHands(call: CallMethod, credentials: ClusterCredentials): Promise<PeerIdentity> {
  const callerNonce = randomBytes(NONCE_BYTES);
  const answer = await call('peer_hello', [
    credentials.ringId,
    credentials.epoch,
    identityToWire(credentials.self),
    callerNonce,
  ]);
  const [identity, calleeNonce, proof] = Array.isArray(answer) ? (answer as unknown[]) : [];
  const callee = identityFrom(identity);
  if (callee === undefined || !(calleeNonce instanceof Uint8Array) || calleeNonce.length !== NONCE_BYTES) {
    throw new ChordfsError('UNAUTHORIZED', { reason: 'malformed answer' });
  }
  const transcript = { caller: credentials.self, callee, callerNonce, calleeNonce };
  if (!isProof(proof, prove('callee', credentials, transcript))) throw new ChordfsError('UNAUTHORIZED', {});
  await call('peer_prove', [prove('caller', credentials, transcript)]);
  return callee;
}

/** Whether a connection has proved anything yet. */
export function isPeer(session: RpcSession): session is RpcSession & { readonly peer: PeerIdentity } {
  return session.peer !== undefined;
}
