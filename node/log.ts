/** One line per event: JSON for machines, with the facts a person needs. Never secrets, never file content. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  facts?: Readonly<Record<string, unknown>>,
) => void;

export function jsonLog(
  write: (line: string) => void,
  constants: Readonly<Record<string, unknown>> = {},
): Log {
  return (level, message, facts) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...constants, ...facts })}\n`);
}

/** What a log line says of an error: the code and details of an expected one, the stack of a bug, causes included. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  const { name, message, stack, cause } = error;
  const details = 'details' in error ? { details: error.details } : { stack };
  return {
    error: `${name}: ${message}`,
    ...details,
    ...(cause === undefined ? {} : { cause: String(cause) }),
  };
}
