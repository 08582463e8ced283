import type { Context } from 'koa';
import { HEALTH_PATH, OWN_PREFIX, READY_PATH } from './open-paths.ts';

/** How this node is, for probes, load balancers and people. */
export interface StatusReport {
  /** False: restarting the process would help. */
  readonly isHealthy: boolean;
  /** False: send requests elsewhere for now. */
  readonly isReady: boolean;
  /** Why not healthy or not ready; empty when all is well. */
  readonly reasons: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

function probe(ctx: Context, isGood: boolean, { reasons }: StatusReport): void {
  ctx.status = isGood ? 200 : 503;
  ctx.body = isGood ? 'ok\n' : `${reasons.join('\n')}\n`;
  ctx.set('Content-Type', 'text/plain; charset=utf-8');
  ctx.set('Cache-Control', 'no-store');
}

/** Answers a probe, for which nobody logs in; false when the path is none. */
export function answerProbe(ctx: Context, pathname: string, status: () => StatusReport): boolean {
  if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return false;
  const report = pathname.startsWith(OWN_PREFIX) ? status() : undefined;
  if (report === undefined) return false;
  if (pathname === HEALTH_PATH) probe(ctx, report.isHealthy, report);
  else if (pathname === READY_PATH) probe(ctx, report.isReady, report);
  else return false;
  return true;
}

/** GET of `/_chordfs/status`: everything the node says about itself. */
export function showStatus(ctx: Context, status: () => StatusReport): void {
  const { facts, ...verdict } = status();
  ctx.set('Cache-Control', 'no-store');
  ctx.body = { ...verdict, ...facts };
}
