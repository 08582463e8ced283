import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { SavedStack } from './cloud-formation/stack-record.ts';
import type { AlarmStates } from './cloud-watch/cloud-watch.ts';
import type { ComputeState } from './compute.ts';

/** What a local cloud writes down so that a second start resumes it. Tables and objects keep their own files. */
export interface CloudState {
  readonly compute: ComputeState;
  /** State of every alarm by name. */
  readonly alarms: AlarmStates;
  readonly stacks: readonly SavedStack[];
}

const FORMAT = 2;
const record = z.record(z.string(), z.unknown());
const text = z.record(z.string(), z.string());
const stateSchema = z.object({
  format: z.literal(FORMAT),
  compute: record,
  alarms: z.record(
    z.string(),
    z.object({
      value: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
      reason: z.string(),
      reasonData: z.string().optional(),
      atMs: z.number(),
    }),
  ),
  stacks: z.array(
    z.object({
      name: z.string(),
      id: z.string(),
      templateBody: z.string(),
      parameters: text,
      tags: text,
      isProtected: z.boolean().optional(),
    }),
  ),
});

/** Undefined when there is none yet. @throws Error when the file is not one of ours: better than starting empty. */
export async function readState(path: string): Promise<CloudState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} is not the state of a local cloud: use another --dir, or remove it`, { cause });
  }
}

/** Replaces the file in one step. */
export async function writeState(path: string, state: CloudState): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w');
  try {
    await file.writeFile(JSON.stringify({ format: FORMAT, ...state }));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}
