import { isDeepStrictEqual } from 'node:util';
import { ACCOUNT_ID } from '../service.ts';
import { orderResources } from './dependencies.ts';
import { evaluate, type Scope } from './intrinsics.ts';
import { type ParameterValues, resolveParameters } from './parameters.ts';
import type { CreatedResource, ResourceHandlers } from './resource-handler.ts';
import { type Template, TemplateError } from './template.ts';

export interface StackOptions {
  readonly template: Template;
  readonly parameters: ParameterValues;
  readonly stackName: string;
  readonly region: string;
  readonly handlers: ResourceHandlers;
  /** What the stack has already: what is unchanged stays as it is, what the template no longer has is deleted. */
  readonly previous?: readonly StackResource[] | undefined;
  /** Told of every step, in order. */
  readonly onStep?: ((step: StackStep) => void) | undefined;
}

export type StackAction = 'CREATE' | 'UPDATE' | 'DELETE';

/** One step with one resource, named as CloudFormation's events name it. */
export interface StackStep {
  readonly logicalId: string;
  readonly type: string;
  readonly ref: string;
  readonly status: `${StackAction}_${'IN_PROGRESS' | 'COMPLETE' | 'FAILED'}`;
  readonly reason?: string | undefined;
}

export interface StackResource extends CreatedResource {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A deployment that failed half-way, with what had been created or changed until then. */
export class StackFailure extends TemplateError {
  readonly touched: readonly StackResource[];
  constructor(message: string, touched: readonly StackResource[], options?: ErrorOptions) {
    super(message, options);
    this.touched = touched;
  }
}

export interface Stack {
  /** In the order of creation. */
  readonly resources: readonly StackResource[];
  readonly outputs: Readonly<Record<string, unknown>>;
  /** Deletes everything in reverse order. */
  delete(): Promise<void>;
}

function pseudoParameters({ stackName, region }: StackOptions): Readonly<Record<string, unknown>> {
  return {
    'AWS::AccountId': ACCOUNT_ID,
    'AWS::Region': region,
    'AWS::StackName': stackName,
    'AWS::StackId': `arn:aws:cloudformation:${region}:${ACCOUNT_ID}:stack/${stackName}/local`,
    'AWS::Partition': 'aws',
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::NotificationARNs': [],
  };
}

function conditionsOf(template: Template, scope: () => Scope): (name: string) => boolean {
  const known = new Map<string, boolean>();
  const open = new Set<string>();
  return (name) => {
    const cached = known.get(name);
    if (cached !== undefined) return cached;
    const definition = template.Conditions[name];
    if (definition === undefined) throw new TemplateError(`the template has no condition ${name}`);
    if (open.has(name)) throw new TemplateError(`condition ${name} refers to itself`);
    open.add(name);
    const result = evaluate(definition, scope()) === true;
    open.delete(name);
    known.set(name, result);
    return result;
  };
}

function scopeOf(options: StackOptions, created: ReadonlyMap<string, StackResource>): Scope {
  const { template } = options;
  const values: Readonly<Record<string, unknown>> = {
    ...pseudoParameters(options),
    ...resolveParameters(template, options.parameters),
  };
  const scope: Scope = {
    region: options.region,
    condition: conditionsOf(template, () => scope),
    ref(name) {
      if (Object.hasOwn(values, name)) return values[name];
      const resource = created.get(name);
      if (resource === undefined) throw new TemplateError(`Ref of ${name}, which does not exist`);
      return resource.ref;
    },
    getAtt(logicalId, attribute) {
      const resource = created.get(logicalId);
      const value = resource?.attributes?.[attribute];
      if (value !== undefined) return value;
      const known = Object.keys(resource?.attributes ?? {}).join(', ') || 'none';
      throw new TemplateError(
        `Fn::GetAtt ${logicalId}.${attribute}: ${resource ? `${resource.type} has ${known}` : 'no such resource'}`,
      );
    },
    findInMap(map, first, second) {
      const value = template.Mappings[map]?.[first]?.[second];
      if (value === undefined) throw new TemplateError(`Fn::FindInMap: no ${map}.${first}.${second}`);
      return evaluate(value, scope);
    },
  };
  return scope;
}

/** @throws TemplateError naming every type the registry lacks, before anything is created. */
function assertTypesKnown({ template, handlers }: StackOptions, logicalIds: readonly string[]): void {
  const unknown = logicalIds.flatMap((logicalId) => {
    const type = template.Resources[logicalId]?.Type ?? '';
    return Object.hasOwn(handlers, type) ? [] : [`${logicalId} (${type})`];
  });
  if (unknown.length > 0) throw new TemplateError(`the local cloud cannot create ${unknown.join(', ')}`);
}

/** Runs one step and tells of its beginning and its end. */
async function tellingOf<T extends { readonly ref: string }>(
  options: Pick<StackOptions, 'onStep'>,
  subject: { readonly logicalId: string; readonly type: string; readonly ref: string },
  action: StackAction,
  work: () => Promise<T>,
): Promise<T> {
  const { logicalId, type } = subject;
  const tell = (status: 'IN_PROGRESS' | 'COMPLETE' | 'FAILED', ref: string, reason?: string): void =>
    options.onStep?.({ logicalId, type, ref, status: `${action}_${status}`, reason });
  tell('IN_PROGRESS', subject.ref);
  try {
    const result = await work();
    tell('COMPLETE', result.ref);
    return result;
  } catch (error) {
    tell('FAILED', subject.ref, error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** Deletes resources in reverse order of their creation. @throws what the first deletion that fails throws. */
export async function deleteResources(
  resources: readonly StackResource[],
  onStep?: StackOptions['onStep'],
): Promise<void> {
  for (const resource of [...resources].reverse()) {
    await tellingOf({ onStep }, resource, 'DELETE', async () => {
      await resource.delete?.();
      return resource;
    });
  }
}

async function deployOne(options: StackOptions, logicalId: string, scope: Scope): Promise<StackResource> {
  const resource = options.template.Resources[logicalId];
  const handler = options.handlers[resource?.Type ?? ''];
  if (resource === undefined || handler === undefined) throw new TemplateError(`no resource ${logicalId}`);
  const type = resource.Type;
  const properties = evaluate(resource.Properties, scope) as Record<string, unknown>;
  const before = options.previous?.find((other) => other.logicalId === logicalId && other.type === type);
  if (before !== undefined && isDeepStrictEqual(before.properties, properties)) return before;
  const { stackName, region } = options;
  const request = { logicalId, type, properties, stackName, region };
  const subject = { logicalId, type, ref: before?.ref ?? '' };
  return await tellingOf(options, subject, before === undefined ? 'CREATE' : 'UPDATE', async () => ({
    logicalId,
    type,
    properties,
    ...(await handler(request)),
  }));
}

/** What an update leaves over: resources that the template no longer has, or has under another physical name. */
function superseded(previous: readonly StackResource[], now: readonly StackResource[]): StackResource[] {
  const key = ({ type, ref }: StackResource): string => `${type} ${ref}`;
  const kept = new Set(now.map(key));
  return previous.filter((resource) => !kept.has(key(resource)));
}

/**
 * Creates every resource of the template, each after those it needs, or updates those that changed.
 * @throws TemplateError before anything is touched; StackFailure, naming the resource, afterwards.
 */
export async function deployStack(options: StackOptions): Promise<Stack> {
  const { template, previous = [], onStep } = options;
  const created = new Map<string, StackResource>();
  const scope = scopeOf(options, created);
  const isIncluded = (logicalId: string): boolean => {
    const condition = template.Resources[logicalId]?.Condition;
    return (
      template.Resources[logicalId] !== undefined && (condition === undefined || scope.condition(condition))
    );
  };
  const order = orderResources(template, isIncluded);
  assertTypesKnown(options, order);

  for (const logicalId of order) {
    try {
      created.set(logicalId, await deployOne(options, logicalId, scope));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const type = template.Resources[logicalId]?.Type;
      // Whatever the failed one looks like now, it is not what it was.
      const half = previous.filter((resource) => resource.logicalId === logicalId);
      const touched = [...created.values()]
        .filter((resource) => !previous.includes(resource))
        .concat(half.map((resource) => ({ ...resource, properties: {} })));
      throw new StackFailure(`${logicalId} (${type}): ${reason}`, touched, { cause });
    }
  }

  const resources = [...created.values()];
  await deleteResources(superseded(previous, resources), onStep);
  const outputs = Object.entries(template.Outputs)
    .filter(([, { Condition }]) => Condition === undefined || scope.condition(Condition))
    .map(([name, { Value }]) => [name, evaluate(Value, scope)] as const);
  return {
    resources,
    outputs: Object.fromEntries(outputs),
    delete: () => deleteResources(resources, onStep),
  };
}
