import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ACCOUNT_ID, AwsError } from '../service.ts';
import { type ParameterValues, resolveParameters } from '../template/parameters.ts';
import type { ResourceHandlers } from '../template/resource-handler.ts';
import {
  deleteResources,
  deployStack,
  type Stack,
  StackFailure,
  type StackResource,
} from '../template/stack.ts';
import {
  addEvent,
  type SavedStack,
  STACK_TYPE,
  type StackDefinition,
  type StackRecord,
  setStatus,
} from './stack-record.ts';

export interface StacksOptions {
  readonly region: string;
  readonly handlers: ResourceHandlers;
  /** Parameters that describe the cloud itself, whatever a deployment says: its time and its network. */
  readonly ownParameters: ParameterValues;
  readonly now: () => number;
  readonly log: (line: string) => void;
  /** After every change of what is deployed. */
  readonly changed: () => void;
}

export type OnFailure = 'DELETE' | 'ROLLBACK' | 'DO_NOTHING';

/** States in which a stack may be updated. */
const UPDATABLE = /^(CREATE|UPDATE|UPDATE_ROLLBACK)_COMPLETE$/;

/** The property by which a template names a resource itself. Generated names never clash. */
const NAME_PROPERTIES: Readonly<Record<string, string>> = {
  'AWS::AutoScaling::AutoScalingGroup': 'AutoScalingGroupName',
  'AWS::Budgets::Budget': 'BudgetName',
  'AWS::CloudWatch::Alarm': 'AlarmName',
  'AWS::CloudWatch::Dashboard': 'DashboardName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::EC2::LaunchTemplate': 'LaunchTemplateName',
  'AWS::Events::EventBus': 'Name',
  'AWS::Events::Rule': 'Name',
  'AWS::IAM::InstanceProfile': 'InstanceProfileName',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::Logs::ResourcePolicy': 'PolicyName',
  'AWS::S3::Bucket': 'BucketName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SQS::Queue': 'QueueName',
};

function givenName(type: string, properties: Readonly<Record<string, unknown>>): string | undefined {
  const name = properties[NAME_PROPERTIES[type] ?? ''];
  if (typeof name === 'string') return name;
  // Budgets keep their name one level deeper.
  const { BudgetName } = (properties['Budget'] ?? {}) as { BudgetName?: string };
  return BudgetName;
}

/** AWS refuses values for parameters that the template does not have, in two ways. */
function assertKnown({ template, parameters }: StackDefinition): void {
  const unknown = Object.keys(parameters).filter((name) => !Object.hasOwn(template.Parameters, name));
  if (unknown.length === 0) return;
  const message =
    Object.keys(template.Parameters).length === 0
      ? 'Parameter values specified for a template which does not require them.'
      : `Parameters: [${unknown.join(', ')}] do not exist in the template`;
  throw new AwsError('ValidationError', message);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The stacks of the account: creates, updates (with rollback) and deletes them, one operation a stack at a time, and
 * keeps what happened as events. Operations are accepted at once and run in the background, as CloudFormation's do.
 */
export class Stacks {
  readonly #options: StacksOptions;
  readonly #records: StackRecord[] = [];
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: StacksOptions) {
    this.#options = options;
  }

  list(): readonly StackRecord[] {
    return this.#records;
  }

  /** By name (which finds no deleted one) or by id. @throws AwsError `ValidationError`. */
  find(nameOrId: string): StackRecord {
    const found = this.#records.findLast(
      ({ name, id, status }) => id === nameOrId || (name === nameOrId && status !== 'DELETE_COMPLETE'),
    );
    if (found === undefined) {
      throw new AwsError('ValidationError', `Stack with id ${nameOrId} does not exist`);
    }
    return found;
  }

  /** Resolves once nothing is done to the stack any more. @throws Error when its last operation failed. */
  async settled(stack: StackRecord): Promise<Stack> {
    await this.#running.get(stack.id);
    if (!/^(CREATE|UPDATE)_COMPLETE$/.test(stack.status)) {
      const { reason = `stack ${stack.name} is ${stack.status}` } =
        stack.events.findLast(({ type, reason }) => type === STACK_TYPE && reason !== undefined) ?? {};
      throw new Error(reason);
    }
    return this.asStack(stack);
  }

  asStack(stack: StackRecord): Stack {
    return {
      resources: stack.resources,
      outputs: stack.outputs,
      delete: () => this.delete(stack.name) ?? Promise.resolve(),
    };
  }

  /** @throws AwsError `AlreadyExistsException`. */
  create(name: string, definition: StackDefinition, onFailure: OnFailure = 'ROLLBACK'): StackRecord {
    if (this.#records.some((stack) => stack.name === name && stack.status !== 'DELETE_COMPLETE')) {
      throw new AwsError('AlreadyExistsException', `Stack [${name}] already exists`);
    }
    const stack = this.#record(name, definition, this.#newId(name));
    setStatus(stack, this.#options.now(), 'CREATE_IN_PROGRESS', 'User Initiated');
    void this.#start(stack, () => this.#create(stack, onFailure));
    return stack;
  }

  #newId(name: string): string {
    return `arn:aws:cloudformation:${this.#options.region}:${ACCOUNT_ID}:stack/${name}/${randomUUID()}`;
  }

  #record(name: string, definition: StackDefinition, id: string): StackRecord {
    const stack: StackRecord = {
      name,
      id,
      createdMs: this.#options.now(),
      updatedMs: undefined,
      deletedMs: undefined,
      status: '',
      statusReason: undefined,
      isProtected: false,
      definition: this.#own(definition),
      resources: [],
      outputs: {},
      events: [],
    };
    this.#records.push(stack);
    return stack;
  }

  /** Takes a stack of an earlier life up again. @throws Error when a resource of it cannot be had any more. */
  async restore(saved: SavedStack, definition: StackDefinition): Promise<StackRecord> {
    const stack = this.#record(saved.name, definition, saved.id);
    const { resources, outputs } = await this.#deploy(stack, stack.definition, []);
    Object.assign(stack, { resources, outputs, isProtected: saved.isProtected ?? false });
    setStatus(stack, this.#options.now(), 'UPDATE_COMPLETE');
    return stack;
  }

  export(): readonly SavedStack[] {
    return this.#records
      .filter(({ status }) => status !== 'DELETE_COMPLETE')
      .map(({ name, id, definition, isProtected }) => ({
        name,
        id,
        templateBody: definition.templateBody,
        parameters: asText(definition.parameters),
        tags: definition.tags,
        isProtected,
      }));
  }

  /** @throws AwsError `ValidationError`, in CloudFormation's words also when there is nothing to do. */
  update(name: string, given: StackDefinition): StackRecord {
    const stack = this.find(name);
    const definition = this.#own(given);
    this.#assertIdle(stack);
    if (!UPDATABLE.test(stack.status)) {
      const message = `Stack:${stack.id} is in ${stack.status} state and can not be updated.`;
      throw new AwsError('ValidationError', message);
    }
    const before = stack.definition;
    const isSame =
      isDeepStrictEqual(before.template, definition.template) &&
      isDeepStrictEqual(asText(before.parameters), asText(definition.parameters));
    if (isSame) throw new AwsError('ValidationError', 'No updates are to be performed.');
    setStatus(stack, this.#options.now(), 'UPDATE_IN_PROGRESS', 'User Initiated');
    void this.#start(stack, () => this.#update(stack, definition));
    return stack;
  }

  protect(nameOrId: string, isProtected: boolean): StackRecord {
    const stack = this.find(nameOrId);
    stack.isProtected = isProtected;
    this.#options.changed();
    return stack;
  }

  /** @throws AwsError `ValidationError` in CloudFormation's words, for a stack that it would not delete now. */
  assertDeletable(nameOrId: string): void {
    const stack = this.#alive(nameOrId);
    const obstacle = stack?.isProtected
      ? 'TerminationProtection is enabled'
      : /^UPDATE_.*IN_PROGRESS$/.test(stack?.status ?? '') && `in status ${stack?.status}`;
    if (stack === undefined || obstacle === false) return;
    throw new AwsError('ValidationError', `Stack [${stack.name}] cannot be deleted while ${obstacle}`);
  }

  #alive(nameOrId: string): StackRecord | undefined {
    return this.#records.findLast(
      ({ name, id, status }) => (id === nameOrId || name === nameOrId) && status !== 'DELETE_COMPLETE',
    );
  }

  /** Undefined when there is no such stack: deleting twice is no error. Resolves when it is gone, or has failed. */
  delete(nameOrId: string): Promise<void> | undefined {
    const stack = this.#alive(nameOrId);
    if (stack === undefined) return undefined;
    if (stack.status === 'DELETE_IN_PROGRESS') return this.#running.get(stack.id);
    // A deployment that is under way is not waited for by CloudFormation either: it ends at its next step.
    const before = this.#running.get(stack.id) ?? Promise.resolve();
    setStatus(stack, this.#options.now(), 'DELETE_IN_PROGRESS', 'User Initiated');
    return this.#start(stack, async () => {
      await before;
      await this.#delete(stack);
    });
  }

  /** @throws AwsError `ValidationError` for parameters that the template does not take. */
  #own(definition: StackDefinition): StackDefinition {
    const own = Object.entries(this.#options.ownParameters).filter(([name]) =>
      Object.hasOwn(definition.template.Parameters, name),
    );
    const parameters = { ...definition.parameters, ...Object.fromEntries(own) };
    assertKnown(definition);
    try {
      resolveParameters(definition.template, parameters);
    } catch (error) {
      throw new AwsError('ValidationError', reasonOf(error));
    }
    return { ...definition, parameters };
  }

  #assertIdle({ id, status }: StackRecord): void {
    if (!this.#running.has(id)) return;
    throw new AwsError('ValidationError', `Stack:${id} is in ${status} state and can not be updated.`);
  }

  #start(stack: StackRecord, work: () => Promise<void>): Promise<void> {
    const running = work().finally(() => {
      if (this.#running.get(stack.id) === running) this.#running.delete(stack.id);
      this.#options.changed();
    });
    this.#running.set(stack.id, running);
    return running;
  }

  #deploy(
    stack: StackRecord,
    { template, parameters }: StackDefinition,
    previous: readonly StackResource[],
  ): Promise<Stack> {
    const { region, now } = this.#options;
    return deployStack({
      template,
      parameters,
      stackName: stack.name,
      region,
      handlers: this.#exclusive(stack),
      previous,
      onStep: (step) => addEvent(stack, now(), step),
    });
  }

  /** What another stack has made cannot be made again: AWS refuses a second resource of the same name. */
  #exclusive(stack: StackRecord): ResourceHandlers {
    const others = this.#records.filter((other) => other !== stack);
    const entries = Object.entries(this.#options.handlers).map(([type, handler]) => {
      const exclusive: typeof handler = (request) => {
        const name = givenName(request.type, request.properties);
        const owner = others.find(({ resources }) =>
          resources.some(
            (resource) =>
              name !== undefined &&
              resource.type === request.type &&
              givenName(resource.type, resource.properties) === name,
          ),
        );
        if (owner !== undefined) throw new Error(`${name} already exists in stack ${owner.name}`);
        return handler(request);
      };
      return [type, exclusive] as const;
    });
    return Object.fromEntries(entries);
  }

  async #create(stack: StackRecord, onFailure: OnFailure): Promise<void> {
    const { now, log } = this.#options;
    try {
      const { resources, outputs } = await this.#deploy(stack, stack.definition, []);
      Object.assign(stack, { resources, outputs });
      this.#unlessDeleted(stack, 'CREATE_COMPLETE');
      return;
    } catch (error) {
      const reason = reasonOf(error);
      log(`stack ${stack.name} was not created: ${reason}`);
      stack.resources = error instanceof StackFailure ? error.touched : [];
      if (stack.status === 'DELETE_IN_PROGRESS') return;
      if (onFailure === 'DO_NOTHING') return setStatus(stack, now(), 'CREATE_FAILED', reason);
      setStatus(stack, now(), onFailure === 'DELETE' ? 'DELETE_IN_PROGRESS' : 'ROLLBACK_IN_PROGRESS', reason);
    }
    await this.#delete(stack, onFailure === 'DELETE' ? 'DELETE' : 'ROLLBACK');
  }

  async #update(stack: StackRecord, definition: StackDefinition): Promise<void> {
    const { now, log } = this.#options;
    const before = stack.resources;
    try {
      const { resources, outputs } = await this.#deploy(stack, definition, before);
      Object.assign(stack, { resources, outputs, definition, updatedMs: now() });
      this.#unlessDeleted(stack, 'UPDATE_COMPLETE');
    } catch (error) {
      log(`stack ${stack.name} was not updated: ${reasonOf(error)}`);
      setStatus(stack, now(), 'UPDATE_ROLLBACK_IN_PROGRESS', reasonOf(error));
      await this.#rollBack(stack, before, error instanceof StackFailure ? error.touched : []);
    }
  }

  /** Deploys what was there before over what the failed update has left. */
  async #rollBack(
    stack: StackRecord,
    before: readonly StackResource[],
    touched: readonly StackResource[],
  ): Promise<void> {
    const isTouched = ({ logicalId }: StackResource): boolean =>
      touched.some((other) => other.logicalId === logicalId);
    const half = [...before.filter((resource) => !isTouched(resource)), ...touched];
    try {
      const { resources, outputs } = await this.#deploy(stack, stack.definition, half);
      Object.assign(stack, { resources, outputs });
      this.#unlessDeleted(stack, 'UPDATE_ROLLBACK_COMPLETE');
    } catch (error) {
      stack.resources = half;
      setStatus(stack, this.#options.now(), 'UPDATE_ROLLBACK_FAILED', reasonOf(error));
    }
  }

  async #delete(stack: StackRecord, prefix: 'DELETE' | 'ROLLBACK' = 'DELETE'): Promise<void> {
    const { now, log } = this.#options;
    try {
      await deleteResources(stack.resources, (step) => {
        addEvent(stack, now(), step);
        if (step.status !== 'DELETE_COMPLETE') return;
        stack.resources = stack.resources.filter(({ logicalId }) => logicalId !== step.logicalId);
      });
      if (prefix === 'DELETE') stack.deletedMs = now();
      setStatus(stack, now(), `${prefix}_COMPLETE`);
    } catch (error) {
      log(`stack ${stack.name} was not deleted: ${reasonOf(error)}`);
      setStatus(stack, now(), `${prefix}_FAILED`, reasonOf(error));
    }
  }

  /** A deletion asked for meanwhile keeps its own status; it goes on where the deployment ended. */
  #unlessDeleted(stack: StackRecord, status: string): void {
    if (stack.status !== 'DELETE_IN_PROGRESS') setStatus(stack, this.#options.now(), status);
  }
}

/** Parameters are text to CloudFormation, whatever they were written as. */
function asText(parameters: ParameterValues): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
}
