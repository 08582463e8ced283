import { beforeAll, expect, test } from 'vitest';
import { packageService, TEMPLATE_PATH } from '../package-service.ts';
import { pythonProgram, run } from '../programs.ts';

interface Finding {
  readonly Level: 'Error' | 'Warning' | 'Informational';
  readonly Message: string;
  readonly Rule: { readonly Id: string };
}

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

// None is left, so none has to be explained. moto's ValidateTemplate, for one, takes warnings for errors.
test('cfn-lint has no warning and no hint either', () => {
  expect(findings).toEqual([]);
});
