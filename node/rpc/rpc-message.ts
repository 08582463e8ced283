import { Decoder, Encoder } from '@msgpack/msgpack';

/** MessagePack-RPC: `[0, id, method, params]`, `[1, id, error, result]`, `[2, method, params]`. */
export type RpcMessage =
  | {
      readonly kind: 'request';
      readonly callId: number;
      readonly method: string;
      readonly params: readonly unknown[];
    }
  | { readonly kind: 'response'; readonly callId: number; readonly error: unknown; readonly result: unknown }
  | { readonly kind: 'notification'; readonly method: string; readonly params: readonly unknown[] };

const REQUEST = 0;
const RESPONSE = 1;
const NOTIFICATION = 2;

// The framer has bounded the whole message already; the decoder needs no limits of its own. Map keys are not
// cached: the cache would be shared by all connections, hostile ones included.
const decoder = new Decoder({ keyDecoder: null });
const encoder = new Encoder({ ignoreUndefined: true });

/** Text from the wire: old clients send `raw` or `bin` where newer ones send `str`. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString();
  return undefined;
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** One whole message; undefined when it is not MessagePack-RPC, so that nobody could be answered. Never throws. */
export function decodeMessage(bytes: Uint8Array): RpcMessage | undefined {
  let value: unknown;
  try {
    value = decoder.decode(bytes);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [type, ...rest] = value as unknown[];
  if (type === NOTIFICATION && rest.length === 2) {
    const method = textOf(rest[0]);
    return method !== undefined && Array.isArray(rest[1])
      ? { kind: 'notification', method, params: rest[1] }
      : undefined;
  }
  const callId = rest[0];
  if (rest.length !== 3 || !isUint32(callId)) return undefined;
  if (type === RESPONSE) return { kind: 'response', callId, error: rest[1], result: rest[2] };
  const method = textOf(rest[1]);
  if (type !== REQUEST || method === undefined || !Array.isArray(rest[2])) return undefined;
  return { kind: 'request', callId, method, params: rest[2] };
}

export function encodeRequest(callId: number, method: string, params: readonly unknown[]): Uint8Array {
  return encoder.encode([REQUEST, callId, method, params]);
}

/** `error` nil means success. */
export function encodeResponse(callId: number, error: unknown, result: unknown): Uint8Array {
  return encoder.encode([RESPONSE, callId, error ?? null, result ?? null]);
}
