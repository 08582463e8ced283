import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * Every test file that states a property, round after round, each round with a seed of its own. `npm test` keeps to one
 * seed (`tests/property-seed.ts`); the search for counterexamples is here, where finding one is news and not a red build.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    /** The seed of the first round; those after it count up from there. */
    seed: { type: 'string', default: `${randomInt(2 ** 30)}` },
  },
});
const firstSeed = Number(values.seed);
const rounds = Number(values.rounds);

const files = readdirSync('tests', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => join('tests', path))
  .filter((path) => /\bfc\.(assert|check)\b|contract\.ts'/.test(readFileSync(path, 'utf8')));

const failed: number[] = [];
for (let round = 0; round < rounds; round++) {
  const seed = firstSeed + round;
  const { status, stdout, stderr } = spawnSync('npx', ['vitest', 'run', '--silent=true', ...files], {
    env: { ...process.env, CHORDFS_PROPERTY_SEED: `${seed}` },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  process.stdout.write(status === 0 ? `seed ${seed}: held\n` : `${stdout}${stderr}\nseed ${seed}: FAILED\n`);
  if (status !== 0) failed.push(seed);
}
if (failed.length > 0) process.stdout.write(`replay: CHORDFS_PROPERTY_SEED=${failed[0]} npm test\n`);
process.stdout.write(`${rounds - failed.length} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
