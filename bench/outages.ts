import { setTimeout as pause } from 'node:timers/promises';
import { CaseCloud } from '../tests/cases/case-cloud.ts';
import { SteadyLoad } from '../tests/cases/steady-load.ts';
import { faultsOf } from '../tests/end-to-end/node-client.ts';

/**
 * DynamoDB, EventBridge and Lambda in turn are away for ten minutes of the cloud's time (30 s at its scale of 20), under
 * steady uploads and downloads through all nodes. Afterwards the table must be right by itself, and every file that
 * was acknowledged must be there through every node.
 */
const SCALE = 20;
const OUTAGE_MS = (10 * 60_000) / SCALE;

const given = await CaseCloud.start({ desired: 4, timeScale: SCALE });
let failed = 0;
try {
  for (const [index, service] of ['dynamodb', 'events', 'lambda'].entries()) {
    const load = new SteadyLoad(() => given.test.publicIps(), index + 1);
    const outage = given.faults.takeAway(service);
    await pause(OUTAGE_MS);
    outage.end();
    const during = load.requests;
    const sinceMs = performance.now();
    await given.untilTableIsRight();
    const rightAfterMs = Math.round(performance.now() - sinceMs);
    const { uploads, downloads, failures } = await load.stop();
    const lost = await faultsOf(await given.test.publicIps(), load.files);
    failed += failures.length + lost.length;
    process.stdout.write(
      `${service} away for ${OUTAGE_MS / 1000} s: ${during} requests meanwhile, ${uploads} uploads and ${downloads} downloads in all, ` +
        `${failures.length} failed, ${lost.length} of ${load.files.length} files wrong afterwards, table right after ${rightAfterMs} ms\n`,
    );
    for (const line of [...failures, ...lost].slice(0, 5)) process.stdout.write(`  ${line}\n`);
  }
} finally {
  await given.stop();
}
process.stdout.write(`${failed === 0 ? 3 : 0} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
