import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parseByteSize } from '../../clients/byte-size.ts';
import { addUpOptions, secretsIn, type UpOptions, upOptions } from '../../clients/up/options.ts';

/** The options as validated, or the words of the error a user would see. */
function parse(...argv: string[]): UpOptions | string {
  const errors: string[] = [];
  const command = addUpOptions(new Command('up'))
    .exitOverride()
    .configureOutput({ writeErr: (text) => errors.push(text) });
  try {
    command.parse(argv, { from: 'user' });
  } catch {
    return errors.join('');
  }
  const options = upOptions(command);
  return 'problem' in options ? options.problem : options;
}

test('logins and certificates come from the environment, paths made absolute', () => {
  const variables = {
    CHORDFS_BASIC_AUTH: 'a:b',
    CHORDFS_SERVER_CERTIFICATE: '/x/../tls.pem',
    CHORDFS_STAGE: 's',
  };
  expect(secretsIn(variables)).toEqual({
    CHORDFS_BASIC_AUTH: 'a:b',
    CHORDFS_SERVER_CERTIFICATE: '/tls.pem',
  });
});

describe('chordfs up', () => {
  test('without options starts two of at most five nodes of 256 MiB, twenty times as fast', () => {
    expect(parse()).toEqual({
      json: false,
      cloud: {
        desired: 2,
        min: 1,
        max: 5,
        volumeSizeBytes: 268_435_456,
        threshold: 70,
        scaleIn: false,
        timeScale: 20,
        directory: undefined,
        port: 4566,
        firstHost: 10,
        onConflict: 'replace',
        theme: 'auto',
      },
    });
  });

  test('takes every option', () => {
    const argv =
      '--desired 3 --min 2 --max 9 --volume 1GiB --threshold 55 --scale-in --time-scale 1.5 --port 0 --json';
    expect(
      parse(
        ...argv.split(' '),
        '--dir',
        '/tmp/x/../cloud',
        '--first-host',
        '90',
        '--on-conflict',
        'rename',
        '--theme',
        'dark',
      ),
    ).toEqual({
      json: true,
      cloud: {
        desired: 3,
        min: 2,
        max: 9,
        volumeSizeBytes: 1_073_741_824,
        threshold: 55,
        scaleIn: true,
        timeScale: 1.5,
        directory: '/tmp/cloud',
        port: 0,
        firstHost: 90,
        onConflict: 'rename',
        theme: 'dark',
      },
    });
  });

  test.each([
    ['--desired', 'two'],
    ['--desired', '-1'],
    ['--desired', '2.5'],
    ['--desired', '1e2'],
    ['--max', '101'],
    ['--min', ''],
    ['--volume', '256Mib/s'],
    ['--volume', '-1GiB'],
    ['--volume', '31MiB'],
    ['--volume', '1e300GiB'],
    ['--threshold', '0'],
    ['--threshold', '100'],
    ['--time-scale', '0.5'],
    ['--time-scale', 'fast'],
    ['--time-scale', '1001'],
    ['--port', '65536'],
    ['--port', '0x10'],
    ['--first-host', '0'],
    ['--dir', ''],
  ])('refuses %s %j and says what it must be', (option, value) => {
    const error = parse(`${option}=${value}`);
    expect(error).toContain(`option '${option}`);
    expect(error).toMatch(/It must|Write it like/);
  });

  test('refuses a --dir that is a file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'chordfs-')), 'file');
    writeFileSync(file, '');
    expect(parse('--dir', file)).toContain('It must be a directory');
  });

  test('refuses group sizes that contradict each other', () => {
    expect(parse('--desired', '6')).toBe('--desired (6) must not be greater than --max (5).');
    expect(parse('--min', '3')).toBe('--min (3) must not be greater than --desired (2).');
    expect(parse('--min=0', '--desired=0', '--max=0')).toBe('--max must be at least 1.');
  });

  test('refuses what it does not know', () => {
    expect(parse('--nodes', '3')).toContain("unknown option '--nodes'");
    expect(parse('3')).toContain('too many arguments');
  });
});

describe('a size', () => {
  test.each([
    ['256MiB', 268_435_456],
    ['1GiB', 1_073_741_824],
    ['500MB', 500_000_000],
    ['1.5 gib', 1_610_612_736],
    ['1048576', 1_048_576],
    ['0', 0],
  ])('%s is %d bytes', (text, sizeBytes) => expect(parseByteSize(text)).toBe(sizeBytes));

  test.each(['', 'MiB', '1 2MiB', '1XB', '.5GiB', 'NaN', '9007199254740993'])('%j is none', (text) => {
    expect(parseByteSize(text)).toBeUndefined();
  });
});
