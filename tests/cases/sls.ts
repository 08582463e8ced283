import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Account } from '../../local/account.ts';
import { PROJECT } from '../end-to-end/test-cloud.ts';

/** What a run of the framework printed, both streams. */
export interface SlsRun {
  readonly output: string;
}

/** The framework asks how a stack is doing this often; its own 5 s would only make the tests slower. */
const MONITORING_MS = 200;

/**
 * Runs the project's own `sls` against an account, with nothing changed but `AWS_ENDPOINT_URL` and credentials.
 * @throws Error with the output when it fails.
 */
export async function sls(account: Account, ...commandLine: string[]): Promise<SlsRun> {
  const packageJson = createRequire(join(PROJECT, 'package.json')).resolve('serverless/package.json');
  const child = spawn(process.execPath, [join(packageJson, '../bin/serverless.js'), ...commandLine], {
    cwd: PROJECT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      AWS_ENDPOINT_URL: account.endpoint,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      SLS_AWS_MONITORING_FREQUENCY: String(MONITORING_MS),
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`sls ${commandLine.join(' ')} ended with ${code}:\n${output}`);
  return { output };
}
