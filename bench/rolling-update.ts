import { ensurePackaged } from '../clients/up/packaging.ts';
import type { LocalCloud } from '../local/local-cloud.ts';
import { rollTo, someFiles, uploadAll } from '../tests/cases/rolling-update.ts';
import { faultsOf } from '../tests/end-to-end/node-client.ts';
import { PROJECT, startTestCloud } from '../tests/end-to-end/test-cloud.ts';

/**
 * A new bundle, by the plugin's own steps, for a group of three nodes and for one of one, each full of files, under reads
 * and writes. Counts the requests that failed meanwhile and the files that are not as they were acknowledged afterwards,
 * asked of every node. Usage: rolling-update.ts [files]
 */
const FILE_COUNT = Number(process.argv[2] ?? 300);
const SIZE_BYTES = 100_000;
const DEADLINE_MS = 300_000;

const PACKAGING_LONGEST_MS = 600_000;

await ensurePackaged({
  projectDirectory: PROJECT,
  signal: AbortSignal.timeout(PACKAGING_LONGEST_MS),
  onStart: () => process.stdout.write('packaging\n'),
});
const running: LocalCloud[] = [];
let passed = 0;
let failed = 0;

async function roll(nodeCount: number): Promise<void> {
  const testCloud = await startTestCloud({ desired: nodeCount, min: nodeCount });
  running.push(testCloud.cloud);
  const files = someFiles(FILE_COUNT, SIZE_BYTES, nodeCount);
  await uploadAll(testCloud, files);
  const before = (await testCloud.cloud.nodes()).map(({ instanceId }) => instanceId);
  const sinceMs = performance.now();
  const { status, load } = await rollTo(testCloud, 'newer', { nodeCount, files, deadlineMs: DEADLINE_MS });
  const tookS = (performance.now() - sinceMs) / 1000;
  const left = (await testCloud.cloud.nodes()).filter(({ instanceId }) => before.includes(instanceId));
  const lost = await faultsOf(await testCloud.publicIps(), load.files);
  const isGood = status === 'Successful' && load.faults.length + lost.length + left.length === 0;
  if (isGood) passed += 1;
  else failed += 1;
  process.stdout.write(
    `${nodeCount} nodes, ${files.length} files: refresh ${status} in ${tookS.toFixed(1)} s, ${before.length - left.length} replaced; ` +
      `${load.requestCount} requests meanwhile, ${load.faults.length} failed; ` +
      `${lost.length} of ${load.files.length} files lost or wrong, read through every node\n`,
  );
  for (const line of [...load.faults, ...lost].slice(0, 5)) process.stdout.write(`  ${line}\n`);
}

try {
  for (const nodeCount of [3, 1]) {
    await roll(nodeCount);
    await running.pop()?.stop();
  }
} finally {
  for (const cloud of running) await cloud.stop();
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
