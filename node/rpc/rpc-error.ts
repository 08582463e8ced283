import { ChordfsError, isErrorCode } from '../../domain/errors.ts';

/**
 * How failures look on the wire. Course clients print whatever comes, so they get a sentence worded as the course's
 * server (rpclib) words it. Peers get `[code, details]`, from which the caller's `ChordfsError` is made again.
 */

export function unknownMethod(method: string, argumentCount: number): string {
  return `rpclib: server could not find function '${printable(method)}' with argument count ${argumentCount}.`;
}

/** A caller's mistake, told to the caller and to nobody else. */
export class BadCallError extends Error {
  override readonly name = 'BadCallError';
}

export function wrongArgumentCount(
  method: string,
  { expected, found }: { expected: number; found: number },
): BadCallError {
  return new BadCallError(
    `rpclib: client error C0002: Function '${method}' was called with an invalid number of arguments. ` +
      `Expected: ${expected}, got: ${found}`,
  );
}

export function badArgument(method: string, problem: string): BadCallError {
  return new BadCallError(
    `rpclib: function '${method}' threw an exception. The exception contained this information: ${problem}.`,
  );
}

/** A hostile name is echoed neither at length nor with control characters. */
function printable(method: string): string {
  return method.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
}

/** What goes into the error field of a response. Bugs are told as such, without a stack. */
export function errorForWire(error: unknown, toPeer: boolean): unknown {
  if (error instanceof BadCallError) return error.message;
  if (error instanceof ChordfsError) {
    return toPeer ? [error.code, error.details] : `chordfs: ${error.code}`;
  }
  return 'chordfs: internal error';
}

/** The caller's side of `errorForWire`. `remoteMethod` in the details marks what happened at the other end. */
export function errorFromWire(value: unknown, method: string): Error {
  if (Array.isArray(value) && isErrorCode(value[0])) {
    return new ChordfsError(value[0], { ...plainDetails(value[1]), remoteMethod: method });
  }
  return new RemoteError(typeof value === 'string' ? value : 'not told', method);
}

/** The other end answered with an error that is none of ours: an unknown method, a bad argument, a bug over there. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly method: string;
  constructor(text: string, method: string) {
    super(text.slice(0, 256));
    this.method = method;
  }
}

function plainDetails(value: unknown): Record<string, string | number> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string | number] =>
        typeof entry[1] === 'string' || typeof entry[1] === 'number',
    ),
  );
}
