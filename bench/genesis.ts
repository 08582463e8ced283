import { parseArgs } from 'node:util';
import { GenesisRun } from './genesis/genesis-run.ts';
import { VARIANTS, type Variant } from './genesis/variants.ts';

/**
 * Random interleavings of five simultaneous launches with deaths, freezes and lost events: always one ring in the end.
 * The same runs without one of the guards of genesis show that they could fail.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    /** Of each variant that is to fail. */
    broken: { type: 'string', default: '100' },
    /** One run, with what was wrong with it. */
    seed: { type: 'string' },
    variant: { type: 'string', default: 'whole' },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function row(variant: Variant, count: number): Promise<readonly number[]> {
  const failed: number[] = [];
  let [epochs, deaths] = [0, 0];
  for (let seed = 1; seed <= count; seed++) {
    const result = await new GenesisRun(seed, variant).run();
    if (result.faults.length > 0) failed.push(seed);
    if (result.faults.length > 0 && variant === 'whole') print(`seed ${seed}: ${result.faults.join('; ')}`);
    epochs += result.epochs;
    deaths += result.deaths;
  }
  const per = (sum: number) => (sum / count).toFixed(2);
  print(
    `${variant.padEnd(18)}${String(count).padStart(6)} runs ${String(count - failed.length).padStart(6)} with one ring ${String(failed.length).padStart(6)} without   geneses ${per(epochs)}, deaths ${per(deaths)} a run`,
  );
  return failed;
}

// What handlers log about single events is not what this is about.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = ((text: string, ...rest: []) =>
  text.startsWith('{"level"') || write(text, ...rest)) as typeof write;

if (values.seed !== undefined) {
  const variant = VARIANTS.find((name) => name === values.variant) ?? 'whole';
  print(JSON.stringify(await new GenesisRun(Number(values.seed), variant).run(), undefined, 2));
} else {
  const wrong = (await row('whole', Number(values.seeds))).length;
  let blind = 0;
  for (const variant of VARIANTS.filter((name) => name !== 'whole')) {
    if ((await row(variant, Number(values.broken))).length === 0) blind += 1;
  }
  print(`${Number(values.seeds) - wrong + 3 - blind} passed, ${wrong + blind} failed`);
  process.exitCode = wrong + blind === 0 ? 0 : 1;
}
