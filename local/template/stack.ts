import { ACCOUNT_ID } from '../service.ts';
import { orderResources } from './dependencies.ts';
import { evaluate, type Scope } from './intrinsics.ts';
import { type ParameterValues, resolveParameters } from './parameters.ts';
import type { CreatedResource, ResourceHandlers } from './resource-handler.ts';
import { type Template, TemplateError } from './template.ts';

interface StackOptions {
  readonly template: Template;
  readonly parameters: ParameterValues;
  readonly stackName: string;
  readonly region: string;
  readonly handlers: ResourceHandlers;
}

export interface StackResource extends CreatedResource {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
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

/** Creates every resource of the template, each after those it needs. @throws TemplateError naming the resource. */
export async function deployStack(options: StackOptions): Promise<Stack> {
  const { template, handlers } = options;
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
    const resource = template.Resources[logicalId];
    const handler = handlers[resource?.Type ?? ''];
    if (resource === undefined || handler === undefined) continue;
    try {
      const properties = evaluate(resource.Properties, scope) as Record<string, unknown>;
      const request = { logicalId, type: resource.Type, properties, ...options };
      created.set(logicalId, { logicalId, type: resource.Type, properties, ...(await handler(request)) });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TemplateError(`${logicalId} (${resource.Type}): ${reason}`, { cause });
    }
  }

  const resources = [...created.values()];
  const outputs = Object.entries(template.Outputs)
    .filter(([, { Condition }]) => Condition === undefined || scope.condition(Condition))
    .map(([name, { Value }]) => [name, evaluate(Value, scope)] as const);
  return {
    resources,
    outputs: Object.fromEntries(outputs),
    async delete() {
      for (const resource of [...resources].reverse()) await resource.delete?.();
    },
  };
}
