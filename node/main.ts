import { ChordfsError } from '../domain/errors.ts';
import { readNodeEnvironment, SettingError } from './environment.ts';
import { readServerSettings } from './http/server-settings.ts';
import { TlsError } from './http/tls-options.ts';
import { describeError, jsonLog } from './log.ts';
import { createMembership } from './membership/create-membership.ts';
import { runNode } from './run-node.ts';

/** The node's process: reads its environment, runs until it has left the ring or is told to stop. */
const write = (line: string): void => {
  process.stdout.write(line);
};
const log = jsonLog(write);

/** The unit's RestartPreventExitStatus: another start would end the same way. */
const GIVEN_UP_EXIT_CODE = 78;

function exitCodeOf(error: unknown): number {
  if (error instanceof TlsError) return error.exitCode;
  return error instanceof ChordfsError && error.code === 'INSTANCE_GIVEN_UP' ? GIVEN_UP_EXIT_CODE : 1;
}

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort(signal));

try {
  const environment = readNodeEnvironment(process.env);
  const settings = readServerSettings(process.env, environment.dataDirectory);
  await runNode({
    environment,
    settings,
    membership: createMembership({ ...environment, log }),
    log,
    access: (line) => write(`${line}\n`),
    stop: stopping.signal,
  });
  process.exit(0);
} catch (error) {
  const isSetting = error instanceof SettingError || error instanceof TlsError;
  log('error', 'node ended', isSetting ? { error: error.message } : describeError(error));
  process.exit(exitCodeOf(error));
}
