/**
 * What one connection may cost this process. The port is open to anybody who can reach it, so every quantity that
 * a remote end can drive up has a bound, and passing a bound closes that connection and no other.
 */
export interface ConnectionLimits {
  /**
   * Longest message, in bytes. Also bounds the elements of any array or map, because each takes a byte or more.
   * Raised: more memory per hostile connection. Lowered: the longest legitimate message is refused.
   */
  readonly maxMessageBytes: number;
  /** Containers inside containers. Ours need five; a deep one costs a recursive reader its stack. */
  readonly maxDepth: number;
  /** Calls being worked on. At the bound reading stops (TCP then slows the caller down); nothing is refused. */
  readonly maxCallsInFlight: number;
  /** Answers that wait because the caller does not read them, in bytes. Beyond it the connection is closed. */
  readonly maxBacklogBytes: number;
  /** No complete message for so long: closed. Counts from the opening, so it is the handshake's deadline as well. */
  readonly idleTimeoutMs: number;
  /** From the first byte of a message to its last. A caller that drips bytes holds memory no longer than this. */
  readonly partialMessageTimeoutMs: number;
}

/** For anybody: the course's clients send a few dozen bytes and leave. */
export const OPEN_LIMITS: ConnectionLimits = {
  maxMessageBytes: 8 * 1024,
  maxDepth: 8,
  maxCallsInFlight: 32,
  maxBacklogBytes: 64 * 1024,
  idleTimeoutMs: 60_000,
  partialMessageTimeoutMs: 5_000,
};

/** For peers that have proved to hold the cluster key: member tables and lists of records travel here. */
export const PEER_LIMITS: ConnectionLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxDepth: 16,
  maxCallsInFlight: 1_024,
  maxBacklogBytes: 16 * 1024 * 1024,
  // Longer than the slowest maintenance traffic between any two members, so that no connection is opened twice.
  idleTimeoutMs: 600_000,
  partialMessageTimeoutMs: 10_000,
};
