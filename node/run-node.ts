import type { NodeEnvironment } from './environment.ts';
import { Front } from './front.ts';
import { DEFAULT_SETTINGS, type ServerSettings } from './http/server-settings.ts';
import type { StatusReport } from './http/status-routes.ts';
import { describeError, type Log } from './log.ts';
import { MemberLife, type Tuning } from './member-life.ts';
import type { Membership } from './membership/membership.ts';
import { DiskStore } from './store/disk-store.ts';

export interface RunNodeOptions {
  readonly environment: NodeEnvironment;
  /** The control plane as this node meets it; `runNode` stops it at the end. */
  readonly membership: Membership;
  readonly tuning?: Tuning | undefined;
  /** The file server's own; by default everybody may, in plain HTTP. */
  readonly settings?: ServerSettings | undefined;
  readonly log: Log;
  readonly access: (line: string) => void;
  /** Ends the node where it is: nothing is handed over, a later start resumes its place. */
  readonly stop: AbortSignal;
}

/** Fast enough to see a volume of some GiB every hour, slow enough that clients do not notice. */
const SCRUB = { bytesPerSecond: 8 * 1024 * 1024, pauseMs: 60_000 };
/** For requests under way when the node stops. */
const CLOSE_GRACE_MS = 1_500;

/**
 * The whole life of a node: boots, becomes a member, serves, and returns when it has left the ring or was stopped.
 * @throws what makes going on impossible: the disk fails, the control plane has given this instance up, ...
 */
export async function runNode(options: RunNodeOptions): Promise<void> {
  const { environment, membership, tuning, settings = DEFAULT_SETTINGS, log, access, stop } = options;
  const crash = new AbortController();
  const signal = AbortSignal.any([stop, crash.signal]);
  const store = await DiskStore.open({
    directory: environment.dataDirectory,
    capacityBytes: environment.capacityBytes,
    scrub: SCRUB,
    // A disk that failed once is not trusted again: the process ends, and a restart reads what is really there.
    onFailure: (error) => crash.abort(error),
  });
  let life: MemberLife | undefined;
  const status = (): StatusReport => life?.status() ?? booting;
  const front = await Front.open({ addresses: environment.listen, settings, status, log, access });
  try {
    const identity = await membership.identify(signal);
    log('info', 'node started', { ...identity, dataDirectory: environment.dataDirectory });
    for (let outcome: 'left' | 'fenced' | undefined; outcome !== 'left'; ) {
      life = new MemberLife({
        environment,
        tuning,
        isTls: settings.tls !== undefined,
        log,
        store,
        membership,
        identity,
        front,
        signal,
      });
      outcome = await life.run();
      if (outcome === 'left') continue;
      log('warn', 'fenced: another ring was formed meanwhile, asking for a new place');
      // Its ports and timers are the next life's.
      await life.stop();
    }
  } catch (error) {
    if (!stop.aborted) throw crash.signal.aborted ? crash.signal.reason : error;
    log('info', 'stopping', { signal: String(stop.reason) });
  } finally {
    front.serve(undefined);
    await front.close(CLOSE_GRACE_MS);
    await life?.stop();
    membership.stop();
    await store
      .close()
      .catch((error: unknown) => log('warn', 'store not closed cleanly', describeError(error)));
  }
}

const booting: StatusReport = {
  isHealthy: true,
  isReady: false,
  reasons: ['booting: not in a ring yet'],
  facts: { phase: 'booting' },
};
