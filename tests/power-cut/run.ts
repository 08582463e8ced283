import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type FromVictim, NAME_COUNT, type Progress } from './workload.ts';

/**
 * Power cuts, as near as a running machine can come to them: the store's folder lies on a file system in a file, and
 * at a random moment under load that file system is shut down without flushing its log (XFS_IOC_GOINGDOWN), which
 * leaves on the image what a power cut would leave on a disk. Then it is mounted again and the store must open,
 * serve every acknowledged file, and show nothing that is not whole.
 *
 * Needs root, loop devices and xfsprogs. Usage: `npm run test:power-cut -- [cuts per file system] [seed]`.
 */
const IMAGE_BYTES = 512 * 1024 * 1024;
const MAX_DELAY_MS = 150;
const MAX_COMPLAINT_LENGTH = 2_000;
const OPEN_DEADLINE_MS = 60_000;
const FILE_SYSTEMS = { xfs: ['mkfs.xfs', '-q', '-f'], ext4: ['mkfs.ext4', '-q', '-F'] } as const;
type FileSystemName = keyof typeof FILE_SYSTEMS;

interface Outcome {
  readonly fileSystem: FileSystemName;
  cuts: number;
  opens: number;
  acknowledged: number;
  readonly problems: string[];
}

/** A small generator with a seed, so that a failing run can be tried again at the same moments. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function run(command: string, ...parameters: readonly string[]): void {
  execFileSync(command, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
}

const here = fileURLToPath(new URL('.', import.meta.url));

async function buildVictim(): Promise<string> {
  const folder = join(here, '../../node_modules/.cache/chordfs-power-cut');
  const outfile = join(folder, 'victim.mjs');
  await build({
    entryPoints: [join(here, 'victim.ts')],
    outfile,
    ...{
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: ['lmdb'],
      logLevel: 'error',
    },
  });
  return outfile;
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** Resolves when the victim has opened and checked its store; it goes on writing, and its messages go on counting. */
function opened(child: ChildProcess, progress: Progress, outcome: Outcome): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('the store did not open in time')), OPEN_DEADLINE_MS);
    let complaint = '';
    // After the cut it complains about the disk, as it should; only what it says before is of interest.
    child.stderr?.on('data', (piece) => {
      complaint = (complaint + piece).slice(-MAX_COMPLAINT_LENGTH);
    });
    child.once('exit', (code, signal) => {
      reject(new Error(`the store did not open: ${code ?? signal}\n${complaint}`));
    });
    child.on('message', (message: FromVictim) => {
      if (message.kind === 'opened') {
        clearTimeout(deadline);
        outcome.problems.push(...message.problems);
        // What was found once is on the disk, acknowledged or not: it must not go away any more either.
        for (const [i, found] of message.found.entries()) progress.acknowledged[i] = found;
        resolve();
      } else {
        progress[message.kind][message.name] = message.version;
        if (message.kind === 'acknowledged') outcome.acknowledged += 1;
      }
    });
  });
}

interface Bench {
  readonly victim: string;
  readonly folder: string;
  readonly random: () => number;
  /** Ends the run after the cut at hand: a mounted file system must not be left behind. */
  readonly stop: AbortSignal;
}

async function cutOnce(
  mount: string,
  { victim, random }: Bench,
  progress: Progress,
  outcome: Outcome,
): Promise<void> {
  const child = fork(victim, [join(mount, 'data'), JSON.stringify(progress)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  try {
    await opened(child, progress, outcome);
    outcome.opens += 1;
    await new Promise((resolve) => setTimeout(resolve, random() * MAX_DELAY_MS));
  } finally {
    run('xfs_io', '-x', '-c', 'shutdown', mount);
    // What was acknowledged before the cut may still be on its way to us.
    await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGKILL');
    await ended(child);
  }
  outcome.cuts += 1;
}

async function torture(fileSystem: FileSystemName, cuts: number, bench: Bench): Promise<Outcome> {
  const outcome: Outcome = { fileSystem, cuts: 0, opens: 0, acknowledged: 0, problems: [] };
  const progress: Progress = {
    acknowledged: Array.from({ length: NAME_COUNT }, () => 0),
    tried: Array.from({ length: NAME_COUNT }, () => 0),
  };
  const image = join(bench.folder, `${fileSystem}.img`);
  const mount = join(bench.folder, fileSystem);
  writeFileSync(image, '');
  truncateSync(image, IMAGE_BYTES);
  mkdirSync(mount);
  const [make, ...parameters] = FILE_SYSTEMS[fileSystem];
  run(make, ...parameters, image);
  for (let i = 0; i < cuts && outcome.problems.length === 0 && !bench.stop.aborted; i++) {
    run('mount', '-o', 'loop', image, mount);
    try {
      await cutOnce(mount, bench, progress, outcome);
    } catch (error) {
      outcome.problems.push(`cut ${i}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      run('umount', mount);
    }
    if ((i + 1) % 100 === 0)
      process.stderr.write(`${fileSystem}: ${i + 1} cuts, ${outcome.acknowledged} acknowledged\n`);
  }
  return outcome;
}

function report({ fileSystem, cuts, opens, acknowledged, problems }: Outcome, wanted: number): boolean {
  const isGood = problems.length === 0 && opens === wanted;
  process.stdout.write(
    `${fileSystem}: ${cuts} power cuts, store opened ${opens} times, ${acknowledged} writes acknowledged, ` +
      `${problems.length} problems\n${problems.map((problem) => `  ${problem}\n`).join('')}`,
  );
  return isGood;
}

const cuts = Number(process.argv[2] ?? '500');
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);
const folder = mkdtempSync(join(tmpdir(), 'chordfs-power-cut-'));
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
try {
  process.stdout.write(`seed ${seed}\n`);
  const victim = await buildVictim();
  const names = Object.keys(FILE_SYSTEMS) as FileSystemName[];
  const outcomes = await Promise.all(
    names.map((name, i) =>
      torture(name, cuts, { victim, folder, random: randomFrom(seed + i), stop: stopping.signal }),
    ),
  );
  const good = outcomes.filter((outcome) => report(outcome, cuts)).length;
  const total = outcomes.reduce((sum, outcome) => sum + outcome.acknowledged, 0);
  const made = outcomes.reduce((sum, outcome) => sum + outcome.cuts, 0);
  process.stdout.write(`${made} power cuts, ${total} acknowledged writes\n`);
  process.stdout.write(`${good} passed, ${outcomes.length - good} failed\n`);
  process.exitCode = good === outcomes.length ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
