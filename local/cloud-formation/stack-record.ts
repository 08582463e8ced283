import { randomUUID } from 'node:crypto';
import type { ParameterValues } from '../template/parameters.ts';
import type { StackResource, StackStep } from '../template/stack.ts';
import type { Template } from '../template/template.ts';

export interface StackEvent {
  readonly eventId: string;
  readonly atMs: number;
  readonly logicalId: string;
  readonly physicalId: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string | undefined;
}

/** What a stack was last told to be. */
export interface StackDefinition {
  /** As given, so that `GetTemplate` gives it back. */
  readonly templateBody: string;
  readonly template: Template;
  readonly parameters: ParameterValues;
  readonly tags: Readonly<Record<string, string>>;
}

/** What is written down of a stack, plain JSON. */
export interface SavedStack {
  readonly name: string;
  readonly id: string;
  readonly templateBody: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly isProtected?: boolean | undefined;
}

/** One stack of the account. Deleted ones are kept, under their id, for whoever asks how it ended. */
export interface StackRecord {
  readonly name: string;
  readonly id: string;
  readonly createdMs: number;
  updatedMs: number | undefined;
  deletedMs: number | undefined;
  status: string;
  statusReason: string | undefined;
  /** AWS's termination protection. */
  isProtected: boolean;
  definition: StackDefinition;
  resources: readonly StackResource[];
  outputs: Readonly<Record<string, unknown>>;
  /** Oldest first. */
  readonly events: StackEvent[];
}

/** Events kept per stack; one deploy makes about 150. */
const MAX_EVENTS = 2_000;
export const STACK_TYPE = 'AWS::CloudFormation::Stack';

export function addEvent(
  stack: StackRecord,
  atMs: number,
  step: Omit<StackStep, 'status'> & { status: string },
) {
  const { logicalId, ref, type, status, reason } = step;
  const eventId = `${logicalId}-${randomUUID()}`;
  stack.events.push({ eventId, atMs, logicalId, physicalId: ref, type, status, reason });
  if (stack.events.length > MAX_EVENTS) stack.events.shift();
}

/** Changes the status of the stack itself, which is an event too. */
export function setStatus(stack: StackRecord, atMs: number, status: string, reason?: string): void {
  stack.status = status;
  stack.statusReason = reason;
  addEvent(stack, atMs, { logicalId: stack.name, type: STACK_TYPE, ref: stack.id, status, reason });
}
