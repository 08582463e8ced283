import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { scalingLogLine } from '../clients/scaling-log-line.ts';
import { storedBytes } from '../domain/resize-plan.ts';
import { asPlacementMember, servingRing } from '../domain/serving-ring.ts';
import { allocatedBytes } from '../local/instances/disk-metric.ts';
import { CaseCloud } from '../tests/cases/case-cloud.ts';
import { faultsOf } from '../tests/end-to-end/node-client.ts';
import { until } from '../tests/end-to-end/until.ts';
import { AlarmWatch } from './alarm/alarm-watch.ts';
import { Filler } from './alarm/filler.ts';
import { judgeLog } from './alarm/log-verdict.ts';
import { NodeHttp } from './fleet/node-http.ts';
import { nodesNeeded } from './growth/nodes-needed.ts';

/**
 * The disk alarm stays in ALARM for thirty minutes of the cloud's time, because clients refill whatever a newcomer has
 * relieved: real node processes, real handlers, the packaged template. Once until there are enough nodes, and
 * once until the group may not grow any more. Judged by the scaling log and by the bytes.
 */
const SCALE = 20;
const ALARM_MS = (30 * 60_000) / SCALE;
const THRESHOLD = 70;
const VOLUME_BYTES = 64 * 2 ** 20;
/** Above the threshold by more than the disks' own fluctuation. */
const TARGET_PERCENT = THRESHOLD + 4;
const FIRST = 3;
const ROOM = 24;
const FEW = 5;
/** For the alarm to begin, and to end once there is enough room. */
const PATIENCE_MS = 120_000;
const SAMPLE = 60;

interface Ending {
  readonly name: string;
  readonly maxSize: number;
  readonly isEnough: boolean;
}
const ENDINGS: readonly Ending[] = [
  { name: 'until there are enough nodes', maxSize: ROOM, isEnough: true },
  { name: 'until MaxSize', maxSize: FEW, isEnough: false },
];

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @returns What was wrong, one line each. */
async function run({ name, maxSize, isEnough }: Ending): Promise<readonly string[]> {
  const given = await CaseCloud.start({
    ...{ desired: FIRST, min: 1, max: maxSize, timeScale: SCALE },
    ...{ threshold: THRESHOLD, volumeSizeBytes: VOLUME_BYTES },
  });
  const http = new NodeHttp();
  const watch = new AlarmWatch(given.cloud);
  const faults: string[] = [];
  const check = (what: string, holds: boolean): void => {
    print(`  ${holds ? 'holds' : 'FAILS'}: ${what}`);
    if (!holds) faults.push(`${name}: ${what}`);
  };
  try {
    print(`\n${name}: ${FIRST} nodes of 64 MiB, threshold ${THRESHOLD} %, MaxSize ${maxSize}`);
    const addresses = () => given.test.publicIps();
    const filler = new Filler(http, { addresses, targetPercent: TARGET_PERCENT });
    await until('the alarm', () => watch.isAlarming, PATIENCE_MS);
    await until('it has lasted', () => watch.alarmingMs >= ALARM_MS, ALARM_MS + PATIENCE_MS);
    const { files, failures } = await filler.stop();
    // Whatever was asked for last has arrived, and nobody asks for more. A disk at the very threshold may raise the alarm
    // once more meanwhile, which is answered like any other.
    let count: number;
    do {
      if (isEnough) await until('the alarm ends', () => !watch.isAlarming, PATIENCE_MS);
      count = await settled(given);
    } while (isEnough && watch.isAlarming);
    await given.untilTableIsRight();
    const needed = await needs(given);
    const sizes = watch.sizes.map((size) => size.count);
    const verdict = judgeLog(given.test.events, { first: FIRST, sizes });

    for (const event of verdict.decisions) print(`  | ${scalingLogLine(event)}`);
    const minutes = Math.round((watch.alarmingMs * SCALE) / 60_000);
    print(
      `  ALARM for ${minutes} scaled minutes, ${FIRST} -> ${count} nodes, the bytes need ${needed}; ${files.length} files`,
    );
    check('the alarm lasted for 30 scaled minutes', minutes >= 30);
    check('the log says why at every step', verdict.decisions.length > 0 && verdict.faults.length === 0);
    for (const fault of verdict.faults) print(`    ${fault}`);
    check('never more instances than MaxSize', Math.max(...sizes) <= maxSize);
    if (isEnough) {
      check('the alarm has ended', !watch.isAlarming);
      check('it ended before MaxSize', count < maxSize);
      check('no more nodes than the bytes need plus one', count <= needed + 1);
    } else {
      check(
        'the group has MaxSize instances, and the alarm is still on',
        count === maxSize && watch.isAlarming,
      );
      check('the log says that MaxSize was reached', /MaxSize is 5/.test(JSON.stringify(verdict.decisions)));
    }
    check(`no upload failed (${failures.length})`, failures.length === 0);
    for (const failure of failures.slice(0, 5)) print(`    ${failure}`);
    const wrong = await faultsOf((await addresses()).slice(0, 2), sampleOf(files));
    check(`${SAMPLE} of the files are there through two nodes`, wrong.length === 0);
    for (const fault of wrong.slice(0, 5)) print(`    ${fault}`);
    return faults;
  } finally {
    await watch.stop();
    http.close();
    await given.stop();
  }
}

function sampleOf<T>(files: readonly T[]): readonly T[] {
  const step = Math.max(1, Math.floor(files.length / SAMPLE));
  return files.filter((_, i) => i % step === 0).slice(0, SAMPLE);
}

/** The group's size once it has not changed for longer than two decisions are apart. */
async function settled(given: CaseCloud): Promise<number> {
  const quietMs = (2.5 * 60_000) / SCALE;
  for (let sinceMs = performance.now(), last = given.ids().join(); ; await pause(LOOK_EVERY_MS)) {
    const now = given.ids().join();
    if (now !== last) [sinceMs, last] = [performance.now(), now];
    if (performance.now() - sinceMs > quietMs) break;
  }
  return (await given.test.untilSettled(given.ids().length, PATIENCE_MS)).length;
}
const LOOK_EVERY_MS = 250;

/**
 * How many nodes the bytes need. The alarm looks at disks, on which more lies than the files: indexes, and what the file
 * system rounds up.
 */
async function needs(given: CaseCloud): Promise<number> {
  const { ringId } = await given.meta();
  const members = servingRing(await given.members(), ringId).map(asPlacementMember);
  const disks = await Promise.all(
    given.cloud.compute.instances().map(({ directory }) => allocatedBytes(join(directory, 'data'))),
  );
  const overhead = sum(disks) / sum([...storedBytes({ members, departed: [] }).values()]);
  return nodesNeeded(members, THRESHOLD / 100 / overhead);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}

const faults: string[] = [];
for (const ending of ENDINGS) faults.push(...(await run(ending)));
const passed = ENDINGS.filter(({ name }) => !faults.some((fault) => fault.startsWith(name))).length;
print(`${passed} passed, ${ENDINGS.length - passed} failed`);
process.exitCode = faults.length === 0 ? 0 : 1;
