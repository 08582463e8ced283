import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageService, TEMPLATE_PATH } from '../package-service.ts';
import { cfnGuard, PROJECT, run } from '../programs.ts';
import { BREAKS } from './breaks.ts';

const RULES = join(PROJECT, 'tests/tools/template/rules.guard');

interface Verdict {
  readonly name: string;
  readonly status: 'PASS' | 'FAIL' | 'SKIP';
  readonly not_compliant: readonly { readonly Rule: { readonly name: string } }[];
  readonly not_applicable: readonly string[];
  readonly compliant: readonly string[];
}

const NO_VERDICT: Verdict = {
  name: '',
  status: 'SKIP',
  not_compliant: [],
  not_applicable: [],
  compliant: [],
};

let folder: string;
let verdict: Verdict;
/** What is said of each broken template, by the place of its mistake in the list. */
let refusals: readonly Verdict[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-guard-'));
  const template = await packageService();
  const paths = await Promise.all(
    BREAKS.map(async ({ apply }, index) => {
      const broken = structuredClone(template);
      apply(broken.Resources, broken);
      const path = join(folder, `${index}.json`);
      await writeFile(path, JSON.stringify(broken));
      return path;
    }),
  );
  [verdict = NO_VERDICT, ...refusals] = await judge([TEMPLATE_PATH, ...paths]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One run for all: most of its time is reading rules. */
async function judge(paths: readonly string[]): Promise<Verdict[]> {
  const { stdout, stderr } = await run(cfnGuard(), [
    ...['validate', '--rules', RULES, ...paths.flatMap((path) => ['--data', path])],
    ...['--structured', '--output-format', 'json', '--show-summary', 'none'],
  ]);
  const verdicts = new Map(
    (JSON.parse(stdout === '' ? '[]' : stdout) as Verdict[]).map((item) => [item.name, item]),
  );
  return paths.map((path) => {
    const found = verdicts.get(path);
    if (found === undefined) throw new Error(`cfn-guard says nothing of ${path}: ${stderr}`);
    return found;
  });
}

test('the packaged template holds every rule, and no rule is idle', () => {
  expect(verdict.status).toBe('PASS');
  expect(verdict.not_compliant.map(({ Rule }) => Rule.name)).toEqual([]);
  expect(verdict.not_applicable).toEqual([]);
});

test('every rule has templates that break it', async () => {
  const names = [...(await readFile(RULES, 'utf8')).matchAll(/^rule (\w+)/gm)].map(([, name]) => name);

  expect([...new Set(BREAKS.map(({ rule }) => rule))].sort()).toEqual(names.sort());
});

describe('a template is refused', () => {
  test.each(BREAKS.map((broken, index) => ({ ...broken, index })))('by $rule: $name', ({ rule, index }) => {
    expect(refusals[index]?.not_compliant.map(({ Rule }) => Rule.name)).toContain(rule);
  });
});
