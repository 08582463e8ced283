import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scalingLogLine, scalingLogLines } from '../../clients/scaling-log-line.ts';
import { nodeTable, readyLine, shellWord, whatToTry } from '../../clients/up/presentation.ts';

const cloud = {
  endpoint: 'http://127.0.0.1:4566',
  region: 'eu-central-1',
  autoScalingGroupName: 'chordfs-dev',
  busName: 'chordfs-dev',
  tableName: 'chordfs-dev-members',
};
const nodes = [
  { instanceId: 'i-1', id: '00000000', privateIp: '127.10.0.11', publicIp: '127.0.0.11' },
  { instanceId: 'i-0123456789', id: '80000000', privateIp: '127.10.0.12', publicIp: '127.0.0.12' },
];
const event = {
  id: '1',
  time: '2026-11-22T17:00:00Z',
  source: 'chordfs.control',
  'detail-type': 'Scale Out Requested',
  detail: {
    cause: 'disk at 72 %',
    before: { desiredCapacity: 2, max: 5 },
    after: { desiredCapacity: 3, max: 5 },
  },
};

test('the ready line holds exactly what a program needs to go on', () => {
  expect(JSON.parse(readyLine(cloud, nodes))).toEqual({ ready: true, ...cloud, nodes });
  expect(readyLine(cloud, nodes)).not.toContain('\n');
});

test('the table has a row for each node, in columns', () => {
  expect(nodeTable(nodes)).toEqual([
    '  INSTANCE      RING ID   PRIVATE      PUBLIC',
    '  i-1           00000000  127.10.0.11  127.0.0.11',
    '  i-0123456789  80000000  127.10.0.12  127.0.0.12',
  ]);
});

test('a shell reads every word back as it was', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
      (text) => {
        // Half a surrogate pair is no text that could reach a process.
        fc.pre(Buffer.from(text).toString() === text);
        expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
      },
    ),
    { numRuns: 50 },
  );
});

test('what to try names absolute paths, since the other terminal may be anywhere', () => {
  const [, upload] = whatToTry(cloud, nodes, { projectDirectory: '/srv/my files', isTls: false });
  expect(upload).toBe("  python3 '/srv/my files/clients/upload.py' '/srv/my files/README.md' 127.0.0.11");
  expect(whatToTry(cloud, [], { projectDirectory: '/x', isTls: false })).toEqual([]);
});

test('with certificates only what speaks HTTPS is suggested', () => {
  const lines = whatToTry(cloud, nodes, { projectDirectory: '/x', isTls: true }).join('\n');
  expect(lines).toContain('curl --insecure -F files=@/x/README.md https://127.0.0.11:5058/upload');
  expect(lines).not.toMatch(/http:\/\/127\.0\.0\.11|upload\.py/);
});

test('an event is one line: when, what, what changed, why', () => {
  expect(scalingLogLine(event)).toMatch(
    /^\d\d:\d\d:\d\d {2}Scale Out Requested {3}desiredCapacity 2 -> 3 {2}\(disk at 72 %\)$/,
  );
});

test('an event about an instance names it, and what appears or disappears is shown as such', () => {
  const detail = {
    instanceId: 'i-1',
    before: { state: 'ACTIVE', keys: 3 },
    after: { state: 'GONE', at: [1] },
  };
  const line = scalingLogLine({ ...event, 'detail-type': 'Member Left', detail });
  expect(line).toMatch(/Member Left\s+i-1 {2}state ACTIVE -> GONE, keys 3 -> -, at \[1\]$/);
});

test('on a terminal the reason stands below, broken between words, and nothing of it is lost', () => {
  const cause =
    'i-0123456789 stores 72.7 % of its volume, the threshold is 70 %: with 1 more it will store 61.7 %';
  const [what, ...why] = scalingLogLines({ ...event, detail: { ...event.detail, cause } }, 60);

  expect(what).toMatch(/Scale Out Requested {3}desiredCapacity 2 -> 3$/);
  expect(why.length).toBeGreaterThan(1);
  for (const line of why) {
    expect(line).toMatch(/^ {10}\S/);
    expect(line.length).toBeLessThanOrEqual(60);
  }
  expect(why.map((line) => line.trim()).join(' ')).toBe(cause);
});

test('an event never breaks the line nor commands the terminal', () => {
  const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue());
  const details = fc.record({ cause: anything, before: anything, after: anything, instanceId: anything });
  fc.assert(
    fc.property(details, fc.string({ unit: 'binary' }), (detail, time) => {
      expect(scalingLogLine({ ...event, time, detail })).not.toMatch(/\p{Cc}/u);
    }),
  );
});
