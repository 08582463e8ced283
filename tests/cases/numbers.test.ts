import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROJECT } from '../end-to-end/test-cloud.ts';

/** Cases about scaling have tests of their own. */
const SCALING = { first: 37, last: 46 };
const NUMBERS = Array.from({ length: 72 }, (_, index) => index + 1).filter(
  (number) => number < SCALING.first || number > SCALING.last,
);

/** `12`, `24 and 36`, `53 and 54, for Lambda` -> the numbers. */
function numbersIn(text: string): number[] {
  return [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));
}

const TABLE = readFileSync(join(PROJECT, 'docs/cases.md'), 'utf8');

/** The numbers of the rows of the table that this pattern finds; its first group is the cell with the numbers. */
const rows = (pattern: RegExp): Set<number> =>
  new Set([...TABLE.matchAll(pattern)].flatMap(([, cell = '']) => numbersIn(cell)));

test('a case has a test that carries its number, or docs/cases.md says that it has none', () => {
  const names = ['tests/cases', 'tests/tools/template'].flatMap((folder) =>
    readdirSync(join(PROJECT, folder))
      .filter((name) => /\.(test|campaign|check)\.ts$/.test(name))
      .flatMap((name) => [
        ...readFileSync(join(PROJECT, folder, name), 'utf8').matchAll(/['"`]cases? ([\d, and]+)/g),
      ]),
  );
  const tested = new Set(names.flatMap(([, text = '']) => numbersIn(text)));
  const missing = rows(/^\| ([\d, -]+) \|.*\*\*not yet\*\*/gm);

  expect(NUMBERS.filter((number) => tested.has(number) === missing.has(number))).toEqual([]);
});

test('docs/cases.md lists every case', () => {
  const listed = rows(/^\| ([\d, -]+) \|/gm);

  expect([...NUMBERS, SCALING.first, SCALING.last].filter((number) => !listed.has(number))).toEqual([]);
});
