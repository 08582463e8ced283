import { setTimeout as delay } from 'node:timers/promises';
import { HTTP_PORT } from '../domain/node-environment.ts';
import type { InstanceView } from './compute.ts';

const LOOK_EVERY_MS = 100;
const ANSWER_WITHIN_MS = 1_000;

/** Whether the node on an instance serves files, as a load balancer's health check would find out. */
async function answersReady({ privateIp, publicIp }: InstanceView): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const response = await fetch(`http://${publicIp || privateIp}:${HTTP_PORT}/_chordfs/readyz`, { signal });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Resolves once as many instances as desired are in service and their nodes serve. The second matters after a
 * restart of the whole cloud: Auto Scaling then still counts instances as in service that are booting.
 * Rejects with the signal's reason.
 */
export async function untilReady(
  desired: () => Promise<number>,
  inService: () => readonly InstanceView[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const [count, ready] = await Promise.all([desired(), Promise.all(inService().map(answersReady))]);
    if (ready.filter(Boolean).length >= count) return;
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
