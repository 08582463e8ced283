import { beforeAll, expect, test } from 'vitest';
import { packageService, TEMPLATE_PATH } from '../package-service.ts';
import { pythonProgram, run } from '../programs.ts';

interface Finding {
  readonly Level: 'Error' | 'Warning' | 'Informational';
  readonly Message: string;
  readonly Rule: { readonly Id: string };
}

/** Every warning that is left, with the reason for leaving it. */
const EXPLAINED: readonly { readonly id: string; readonly message: RegExp; readonly why: string }[] = [
  {
    id: 'W3005',
    message: /^'On\w+Role' dependency already enforced|^'ReconcileRole' dependency already enforced/,
    why: 'The framework adds DependsOn to a function whose role it also refers to. Twice is once.',
  },
];
/** Where free-tier arm64 instances are; the second is the one nearest to the course's campus. */
const REGIONS = ['us-east-1', 'ap-northeast-1', 'eu-central-1'];

let findings: readonly Finding[];
beforeAll(async () => {
  await packageService();
  const { stdout } = await run(pythonProgram('cfn-lint'), [
    '--format',
    'json',
    '--regions',
    ...REGIONS,
    '--template',
    TEMPLATE_PATH,
  ]);
  findings = JSON.parse(stdout) as Finding[];
});

test('cfn-lint finds no error in the packaged template', () => {
  expect(findings.filter(({ Level }) => Level === 'Error')).toEqual([]);
});

test('every warning of cfn-lint is explained', () => {
  const unexplained = findings.filter(
    ({ Rule, Message }) => !EXPLAINED.some(({ id, message }) => id === Rule.Id && message.test(Message)),
  );
  expect(unexplained).toEqual([]);
});

test('no explanation is kept for a warning that is gone', () => {
  for (const { id, message } of EXPLAINED) {
    expect(findings.some((finding) => finding.Rule.Id === id && message.test(finding.Message))).toBe(true);
  }
});
