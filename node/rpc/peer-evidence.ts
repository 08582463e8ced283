import { ChordfsError } from '../../domain/errors.ts';

/**
 * What a failed call says about the other end.
 *
 * `refused`: nothing listens there, the process is gone. `closed`: it ended or reset the connection, which a dying
 * process does, and one that sheds load as well. `timeout`: silence; it may be frozen, slow, or cut off. `local`: the
 * trouble is on this side. Only the first two are evidence of a death.
 */
export type Evidence = 'refused' | 'closed' | 'timeout' | 'local';

const EVIDENCE_BY_CODE: Readonly<Record<string, Evidence>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  ECONNABORTED: 'closed',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'timeout',
  ENETUNREACH: 'timeout',
  EHOSTDOWN: 'timeout',
};

/** @returns `PEER_UNREACHABLE` with `details.evidence`. */
export function unreachable(
  { host, port }: { readonly host: string; readonly port: number },
  cause: Error | 'timeout' | 'closed' | 'overloaded',
): ChordfsError {
  const evidence = typeof cause === 'string' ? named(cause) : evidenceOfSocketError(cause);
  return new ChordfsError(
    'PEER_UNREACHABLE',
    { host, port, evidence },
    typeof cause === 'string' ? {} : { cause },
  );
}

function named(cause: 'timeout' | 'closed' | 'overloaded'): Evidence {
  return cause === 'overloaded' ? 'local' : cause;
}

function evidenceOfSocketError(error: Error): Evidence {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return EVIDENCE_BY_CODE[code] ?? (error.name === 'ConnectionAbort' ? 'closed' : 'local');
}

/** Undefined: the other end answered, if only with an error, and so is alive. */
export function evidenceOf(error: unknown): Evidence | undefined {
  if (!(error instanceof ChordfsError) || 'remoteMethod' in error.details) return undefined;
  if (error.code === 'DEADLINE_EXCEEDED') return 'timeout';
  if (error.code !== 'PEER_UNREACHABLE') return undefined;
  switch (error.details['evidence']) {
    case 'refused':
    case 'closed':
    case 'timeout':
      return error.details['evidence'];
    default:
      return 'local';
  }
}
