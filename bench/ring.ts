/**
 * The goals of the ring, each beside the figure to beat: the real core over the simulator's virtual network, in virtual
 * time, bytes by the real codec. `npm run bench:ring [-- --seed 1 --only contacts,deaths,idle,repair,stretch,churn --lookups
 * 10000]`. Real processes: `npm run bench:ring-processes`. Exit code 1 when a goal is missed.
 */
import { parseArgs } from 'node:util';
import { markdownTable } from './distribution.ts';
import { cellsOf, GOAL_HEADS, type GoalRow } from './ring/goal-row.ts';
import { repairGoals } from './ring/repair-goals.ts';
import { contactGoals, deathGoals } from './ring/routing-goals.ts';
import { stretchGoals } from './ring/stretch-goals.ts';
import { churnGoals, idleGoals } from './ring/traffic-goals.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    lookups: { type: 'string', default: '10000' },
    only: { type: 'string', default: 'contacts,deaths,idle,repair,stretch,churn' },
  },
});
const options = { seed: Number(values.seed), lookupCount: Number(values.lookups) };

const GROUPS: Readonly<Record<string, () => readonly GoalRow[]>> = {
  contacts: () => contactGoals(options),
  deaths: () => deathGoals(options),
  idle: () => idleGoals(options),
  repair: () => repairGoals(options),
  stretch: () => stretchGoals(options),
  churn: () => churnGoals(options),
};

const rows = values.only.split(',').flatMap((name) => GROUPS[name]?.() ?? []);
process.stdout.write(`seed ${options.seed}\n\n${markdownTable(GOAL_HEADS, rows.map(cellsOf))}\n\n`);
const missed = rows.filter(({ isMet }) => !isMet).length;
process.stdout.write(`${rows.length - missed} passed, ${missed} failed\n`);
process.exitCode = missed === 0 ? 0 : 1;
