import { AwsError, type Operation, type Service } from '../service.ts';
import { parseTemplate, TemplateError } from '../template/template.ts';
import type { StackDefinition, StackRecord } from './stack-record.ts';
import type { OnFailure, Stacks } from './stacks.ts';

interface Parameter {
  readonly ParameterKey?: string;
  readonly ParameterValue?: string;
  readonly UsePreviousValue?: boolean;
}

interface DefinitionInput {
  readonly StackName: string;
  readonly TemplateBody?: string;
  readonly TemplateURL?: string;
  readonly UsePreviousTemplate?: boolean;
  readonly Parameters?: readonly Parameter[];
  readonly Tags?: readonly { readonly Key?: string; readonly Value?: string }[];
}

interface StackName {
  readonly StackName: string;
}

/** Reads an object of the account's own buckets. @throws AwsError */
export type ReadObject = (bucket: string, key: string) => Promise<Uint8Array>;

/** `https://s3.amazonaws.com/BUCKET/KEY`, or with the bucket in front of the host. */
function objectOf(templateUrl: string): { bucket: string; key: string } {
  const { hostname, pathname } = new URL(templateUrl);
  const [, virtual] = /^(.+)\.s3[.-][^/]*$/.exec(hostname) ?? [];
  const path = decodeURIComponent(pathname.slice(1));
  if (virtual !== undefined) return { bucket: virtual, key: path };
  const slash = path.indexOf('/');
  return { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
}

async function bodyOf(input: DefinitionInput, readObject: ReadObject, before?: StackRecord): Promise<string> {
  if (input.TemplateBody !== undefined) return input.TemplateBody;
  if (input.TemplateURL !== undefined) {
    const { bucket, key } = objectOf(input.TemplateURL);
    return Buffer.from(await readObject(bucket, key)).toString('utf8');
  }
  if (input.UsePreviousTemplate === true && before !== undefined) return before.definition.templateBody;
  throw new AwsError('ValidationError', 'Either Template URL or Template Body must be specified.');
}

function parseBody(templateBody: string) {
  try {
    return parseTemplate(JSON.parse(templateBody));
  } catch (error) {
    const reason = error instanceof TemplateError ? error.message : 'only JSON templates are read here';
    throw new AwsError('ValidationError', `Template format error: ${reason}`);
  }
}

async function definitionOf(
  input: DefinitionInput,
  readObject: ReadObject,
  before?: StackRecord,
): Promise<StackDefinition> {
  const templateBody = await bodyOf(input, readObject, before);
  const parameters = (input.Parameters ?? []).flatMap(
    ({ ParameterKey = '', ParameterValue, UsePreviousValue }) => {
      const value = UsePreviousValue === true ? before?.definition.parameters[ParameterKey] : ParameterValue;
      return value === undefined ? [] : [[ParameterKey, value] as const];
    },
  );
  const tags = (input.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value] as const);
  return {
    templateBody,
    template: parseBody(templateBody),
    parameters: Object.fromEntries(parameters),
    tags: Object.fromEntries(tags),
  };
}

const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms));

function stackView(stack: StackRecord) {
  return {
    StackId: stack.id,
    StackName: stack.name,
    CreationTime: date(stack.createdMs),
    LastUpdatedTime: date(stack.updatedMs),
    DeletionTime: date(stack.deletedMs),
    StackStatus: stack.status,
    StackStatusReason: stack.statusReason,
    EnableTerminationProtection: stack.isProtected,
    Parameters: Object.entries(stack.definition.parameters).map(([ParameterKey, value]) => ({
      ParameterKey,
      ParameterValue: String(value),
    })),
    Outputs: Object.entries(stack.outputs).map(([OutputKey, value]) => ({
      OutputKey,
      OutputValue: String(value),
    })),
    Tags: Object.entries(stack.definition.tags).map(([Key, Value]) => ({ Key, Value })),
  };
}

function resourceViews(stack: StackRecord) {
  return stack.resources.map(({ logicalId, type, ref }) => {
    const last = stack.events.findLast((event) => event.logicalId === logicalId);
    const at = date(last?.atMs ?? stack.createdMs);
    return {
      StackId: stack.id,
      StackName: stack.name,
      LogicalResourceId: logicalId,
      PhysicalResourceId: ref,
      ResourceType: type,
      ResourceStatus: last?.status ?? 'CREATE_COMPLETE',
      LastUpdatedTimestamp: at,
      Timestamp: at,
    };
  });
}

function eventViews(stack: StackRecord) {
  return [...stack.events].reverse().map((event) => ({
    StackId: stack.id,
    StackName: stack.name,
    EventId: event.eventId,
    LogicalResourceId: event.logicalId,
    PhysicalResourceId: event.physicalId,
    ResourceType: event.type,
    ResourceStatus: event.status,
    ResourceStatusReason: event.reason,
    Timestamp: date(event.atMs),
  }));
}

/** @throws AwsError in the words that the framework looks for. */
function resourceView(stack: StackRecord, logicalId: string) {
  const found = resourceViews(stack).find(({ LogicalResourceId }) => LogicalResourceId === logicalId);
  if (found !== undefined) return found;
  throw new AwsError('ValidationError', `Resource ${logicalId} does not exist for stack ${stack.name}`);
}

function describeOperations(stacks: Stacks): Record<string, Operation> {
  const stacksOf = (input: Partial<StackName>): readonly StackRecord[] =>
    input.StackName === undefined
      ? stacks.list().filter(({ status }) => status !== 'DELETE_COMPLETE')
      : [stacks.find(input.StackName)];
  return {
    DescribeStacks: (input: Partial<StackName>) => ({ Stacks: stacksOf(input).map(stackView) }),
    ListStacks: () => ({ StackSummaries: stacks.list().map(stackView) }),
    DescribeStackEvents: (input: StackName) => ({ StackEvents: eventViews(stacks.find(input.StackName)) }),
    ListStackResources: (input: StackName) => ({
      StackResourceSummaries: resourceViews(stacks.find(input.StackName)),
    }),
    DescribeStackResources: (input: StackName) => ({
      StackResources: resourceViews(stacks.find(input.StackName)),
    }),
    DescribeStackResource: (input: StackName & { LogicalResourceId: string }) => ({
      StackResourceDetail: resourceView(stacks.find(input.StackName), input.LogicalResourceId),
    }),
    GetTemplate: (input: StackName) => ({
      TemplateBody: stacks.find(input.StackName).definition.templateBody,
      StagesAvailable: ['Original'],
    }),
  };
}

/**
 * CloudFormation's API as the framework's direct deployments use it: stacks without change sets, templates in JSON.
 * Change sets, drift, nested stacks and exports are not there.
 */
export function cloudFormationService(stacks: Stacks, readObject: ReadObject): Service {
  return {
    signingName: 'cloudformation',
    operations: {
      ...describeOperations(stacks),
      async ValidateTemplate(input: DefinitionInput) {
        const { Parameters } = parseBody(await bodyOf(input, readObject));
        return {
          Parameters: Object.entries(Parameters).map(([ParameterKey, { Default }]) => ({
            ParameterKey,
            DefaultValue: Default === undefined ? undefined : String(Default),
          })),
          Capabilities: ['CAPABILITY_NAMED_IAM'],
        };
      },
      async CreateStack(input: DefinitionInput & { OnFailure?: OnFailure; DisableRollback?: boolean }) {
        const onFailure = input.DisableRollback === true ? 'DO_NOTHING' : (input.OnFailure ?? 'ROLLBACK');
        const definition = await definitionOf(input, readObject);
        return { StackId: stacks.create(input.StackName, definition, onFailure).id };
      },
      async UpdateStack(input: DefinitionInput) {
        const definition = await definitionOf(input, readObject, stacks.find(input.StackName));
        return { StackId: stacks.update(input.StackName, definition).id };
      },
      UpdateTerminationProtection: (input: StackName & { EnableTerminationProtection: boolean }) => ({
        StackId: stacks.protect(input.StackName, input.EnableTerminationProtection).id,
      }),
      DeleteStack: (input: StackName) => {
        stacks.assertDeletable(input.StackName);
        void stacks.delete(input.StackName);
      },
    },
  };
}
