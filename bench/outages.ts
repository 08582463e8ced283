import { setTimeout as pause } from 'node:timers/promises';
import { CaseCloud } from '../tests/cases/case-cloud.ts';
import { SteadyLoad } from '../tests/cases/steady-load.ts';
import { faultsOf } from '../tests/end-to-end/node-client.ts';

/**
 * DynamoDB, EventBridge and Lambda in turn are away for ten minutes of the cloud's time (30 s at its scale of 20), under
 * steady uploads and downloads through all nodes. A third of the way through one node is killed, so that there is
 * something that the table does not know when the service is back: it must be right again by itself, with a
 * replacement in service, and every file that was acknowledged must be there through every node.
 */
const SCALE = 20;
const OUTAGE_MS = (10 * 60_000) / SCALE;
const NODES = 4;

interface Outcome {
  readonly line: string;
  readonly faults: readonly string[];
}

async function sitThrough(given: CaseCloud, service: string, seed: number): Promise<Outcome> {
  // A client does not ask a node that it knows to be gone.
  const gone = new Set<string>();
  const serving = async () => (await given.test.publicIps()).filter((address) => !gone.has(address));
  const load = new SteadyLoad(serving, seed);
  const outage = given.faults.takeAway(service);
  await pause(OUTAGE_MS / 3);
  const [victim] = given.cloud.compute.instances();
  if (victim === undefined) throw new Error('nobody is in service');
  gone.add(victim.publicIp);
  load.expectDeathOf(victim.publicIp);
  given.machines.crash(victim.instanceId);
  await pause((2 * OUTAGE_MS) / 3);
  outage.end();
  const during = load.requests;
  const sinceMs = performance.now();
  // Its address may be given to its replacement.
  await given.untilReplaced(victim.instanceId, NODES);
  gone.clear();
  await given.untilTableIsRight();
  const rightAfterMs = Math.round(performance.now() - sinceMs);
  const { uploads, downloads, failures } = await load.stop();
  const lost = await faultsOf(await given.test.publicIps(), load.files);
  return {
    line:
      `${service} away for ${OUTAGE_MS / 1000} s, a node killed meanwhile: ${during} requests until it was back, ` +
      `${uploads} uploads and ${downloads} downloads in all, ${failures.length} failed; ` +
      `${lost.length} of ${load.files.length} files wrong afterwards; table right and ${NODES} in service after ${rightAfterMs} ms`,
    faults: [...failures, ...lost],
  };
}

const given = await CaseCloud.start({ desired: NODES, timeScale: SCALE });
let passed = 0;
const services = ['dynamodb', 'events', 'lambda'];
try {
  for (const [index, service] of services.entries()) {
    const { line, faults } = await sitThrough(given, service, index + 1);
    process.stdout.write(`${line}\n`);
    for (const fault of faults.slice(0, 5)) process.stdout.write(`  ${fault}\n`);
    if (faults.length === 0) passed += 1;
  }
} finally {
  await given.stop();
}
process.stdout.write(`${passed} passed, ${services.length - passed} failed\n`);
process.exitCode = passed === services.length ? 0 : 1;
