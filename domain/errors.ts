/**
 * Every failure a caller may act on.
 *
 * `retryable`: the same request may succeed on another node or later. If you add a code, add its status here;
 * HTTP, Lambda and the wire derive everything else from this table.
 */
const CODES = {
  FILE_NOT_FOUND: { status: 404, retryable: false },
  INVALID_FILE_NAME: { status: 400, retryable: false },
  INVALID_REQUEST: { status: 400, retryable: false },
  TRUNCATED_UPLOAD: { status: 400, retryable: false },
  UNAUTHORIZED: { status: 401, retryable: false },
  /** The member table has this instance in a final state: it will never be a member, however often it starts. */
  INSTANCE_GIVEN_UP: { status: 403, retryable: false },
  FORBIDDEN: { status: 403, retryable: false },
  FILE_EXISTS: { status: 409, retryable: false },
  PRECONDITION_FAILED: { status: 412, retryable: false },
  RANGE_NOT_SATISFIABLE: { status: 416, retryable: false },
  /** The peer is not responsible for the key; `details.ownerId` may name who is. */
  NOT_OWNER: { status: 421, retryable: true },
  /** Every copy that answered failed its checksum. */
  CORRUPT: { status: 500, retryable: true },
  NODE_NOT_READY: { status: 503, retryable: true },
  NODE_DRAINING: { status: 503, retryable: true },
  /** Too many transfers at once, or this one was too slow while others waited. */
  NODE_BUSY: { status: 503, retryable: true },
  /** Not enough replicas answered to keep the promise. */
  REPLICAS_UNAVAILABLE: { status: 503, retryable: true },
  PEER_UNREACHABLE: { status: 503, retryable: true },
  DEADLINE_EXCEEDED: { status: 504, retryable: true },
  VOLUME_FULL: { status: 507, retryable: true },
  /** This node's disk refused a write or a flush; it takes no more writes until it is restarted. */
  STORAGE_FAILED: { status: 503, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(CODES, value);
}

export class ChordfsError extends Error {
  override readonly name = 'ChordfsError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number>>;

  /** @param details Facts for the log line (ids, sizes in bytes), never file content or secrets. */
  constructor(
    code: ErrorCode,
    details: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    super(code, options);
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return CODES[this.code].status;
  }

  get retryable(): boolean {
    return CODES[this.code].retryable;
  }
}
