import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** The rules of the project that no linter knows: one test each, so that breaking one names the file and the line. */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MAX_LINES = 400;

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && path !== 'package-lock.json' && existsSync(join(ROOT, path)));
const sources = files.filter((path) => /\.(ts|tsx|mjs|py|sh|ya?ml)$/.test(path));
const typescript = sources.filter((path) => path.endsWith('.ts'));
const documents = files.filter((path) => path.endsWith('.md'));
const self = relative(ROOT, fileURLToPath(import.meta.url));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Every line of `paths` that matches, as `path:line: text`. */
function matches(paths: readonly string[], pattern: RegExp): string[] {
  return paths
    .filter((path) => path !== self)
    .flatMap((path) =>
      read(path)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
}

function below(...folders: string[]): string[] {
  return typescript.filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)));
}

describe('every source file', () => {
  test(`has at most ${MAX_LINES} lines`, () => {
    const long = sources.map((path) => ({ path, lines: read(path).split('\n').length - 1 }));
    expect(long.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });

  test('has a name that says what it is', () => {
    const vague = /(^|\/)(utils?|helpers?|common|misc|lib|index)(\.[a-z]+|\/)/;
    expect(sources.filter((path) => vague.test(path))).toEqual([]);
    // Python and the entries of package managers have their own conventions; TypeScript files are kebab-case.
    expect(typescript.filter((path) => /[A-Z_]/.test(basename(path)))).toEqual([]);
  });

  test('has an issue for every TODO', () => {
    expect(matches(sources, /\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/)).toEqual([]);
  });

  test('escapes neither the compiler, the linter nor the test runner', () => {
    const escapes = /@ts-(ignore|nocheck|expect-error)|biome-ignore|eslint-disable/;
    expect(matches(typescript, escapes)).toEqual([]);
    expect(matches(typescript, /\b(test|it|describe)\.(only|skip|todo|fails)\(|expect\(true\)/)).toEqual([]);
  });

  test('knows nothing of the machine it was written on', () => {
    expect(matches([...sources, ...documents], /(^|[\s'"`(=])\/(work|root|home\/\w+)\/(?!me\b)/)).toEqual([]);
  });
});

describe('imports', () => {
  interface Import {
    readonly from: string;
    readonly to: string;
  }
  const specifier = /(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;
  const imports: Import[] = typescript.flatMap((from) =>
    [...read(from).matchAll(specifier)].map((match) => ({
      from,
      to: relative(ROOT, resolve(ROOT, dirname(from), match[1] ?? '')),
    })),
  );

  function crossing(from: RegExp, to: RegExp): string[] {
    return imports
      .filter((edge) => from.test(edge.from) && to.test(edge.to))
      .map((edge) => `${edge.from} -> ${edge.to}`);
  }

  test('of the domain stay inside it', () => {
    expect(crossing(/^domain\//, /^(?!domain\/)/)).toEqual([]);
  });

  test('of the protocol core reach only the domain', () => {
    expect(crossing(/^node\/chord\//, /^(?!domain\/|node\/chord\/)/)).toEqual([]);
    expect(matches(below('node/chord', 'domain'), /from 'node:(?!crypto|assert)/)).toEqual([]);
  });

  test('never join the two planes: functions and node meet in the domain', () => {
    expect(crossing(/^functions\//, /^node\//)).toEqual([]);
    expect(crossing(/^node\//, /^functions\//)).toEqual([]);
  });

  test('never lead from the product to the local cloud, the clients, tests or benchmarks', () => {
    expect(crossing(/^(domain|node|functions|plugins)\//, /^(local|clients|tests|bench)\//)).toEqual([]);
    expect(crossing(/^(local|clients)\//, /^(tests|bench)\//)).toEqual([]);
  });

  test('never lead from a part of the node to its composition root', () => {
    expect(
      crossing(/^/, /^node\/main\.ts$/).filter((edge) => !/^(tests|bench|node\/main)/.test(edge)),
    ).toEqual([]);
  });
});

describe('the product', () => {
  /** Where a process is put together: only these read its environment or end it. */
  const COMPOSITION_ROOTS = [
    /^node\/main\.ts$/,
    /^clients\/chordfs\.ts$/,
    /^node\/compat\/main\.ts$/,
    // Each Lambda's handler is its own root, and its log is its stdout.
    /^functions\/(on-[a-z-]+|reconcile|log)\.ts$/,
  ];

  test('touches the process only where it is put together', () => {
    const parts = below('domain', 'node', 'functions', 'clients', 'local').filter(
      (path) => !COMPOSITION_ROOTS.some((root) => root.test(path)),
    );
    const touches = /(?<![.\w'])process\.(env|exit|exitCode|argv|cwd|chdir|on|once|std(in|out|err)|abort)\b/;
    expect(matches(parts, touches)).toEqual([]);
  });

  test('takes no randomness or time in the protocol core', () => {
    expect(
      matches(below('node/chord'), /Math\.random|randomUUID|randomBytes|Date\.now|performance\.now/),
    ).toEqual([]);
  });

  test('does not ask whether it runs locally', () => {
    const asks = /\bisLocal\b|\bis_?local_?cloud\b|LOCALSTACK|localhost:4566/i;
    expect(matches(below('domain', 'node', 'functions'), asks)).toEqual([]);
  });

  test('speaks the vocabulary of Chord', () => {
    expect(matches(below('domain', 'node/chord', 'node/ring'), /\b(leader|shard)s?\b/i)).toEqual([]);
  });
});

describe('every test', () => {
  test('has a name that is a claim', () => {
    const tests = below('tests').filter((path) => path.endsWith('.test.ts'));
    expect(matches(tests, /\b(test|it)(\.each\(.*\))?\(\s*['"`][^'"`]*\bshould\b/)).toEqual([]);
  });
});

describe('the documents', () => {
  function anchors(path: string): string[] {
    return [...read(path).matchAll(/^#+ (.+)$/gm)].map((match) =>
      (match[1] ?? '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- ]/gu, '')
        .replaceAll(' ', '-'),
    );
  }

  test('have links that lead somewhere', () => {
    const broken = documents.flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].flatMap(([, link = '']) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : relative(ROOT, resolve(ROOT, dirname(path), decodeURI(file)));
        if (!existsSync(join(ROOT, target))) return [`${path}: ${link}`];
        const isMissing = anchor !== undefined && target.endsWith('.md') && !anchors(target).includes(anchor);
        return isMissing ? [`${path}: ${link}`] : [];
      }),
    );
    expect(broken).toEqual([]);
  });

  test('number every decision once, in its file name and its title', () => {
    const decisions = documents.filter((path) => path.startsWith('docs/decisions/'));
    const numbers = decisions.map((path) => /^(\d{4})-[a-z0-9-]+\.md$/.exec(basename(path))?.[1] ?? path);
    expect(numbers.filter((number, i) => number.length !== 4 || numbers.indexOf(number) !== i)).toEqual([]);
    expect(decisions.filter((path, i) => !read(path).startsWith(`# ${numbers[i]}: `))).toEqual([]);
  });

  test('keep the architecture to under 300 lines', () => {
    expect(read('docs/architecture.md').split('\n').length).toBeLessThan(300);
  });
});
