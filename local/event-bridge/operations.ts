import { z } from 'zod';
import { AwsError, type Service } from '../service.ts';
import type { EventBridge, Rule } from './event-bridge.ts';

/** EventBridge takes at most this many entries in one PutEvents. */
const MAX_ENTRIES = 10;
/** And this many bytes in one entry. */
const MAX_ENTRY_BYTES = 256 * 1024;

const putEventsSchema = z.object({
  Entries: z
    .array(
      z.object({
        Source: z.string().optional(),
        DetailType: z.string().optional(),
        Detail: z.string().optional(),
        Resources: z.array(z.string()).default([]),
        EventBusName: z.string().default('default'),
        Time: z.union([z.number(), z.date(), z.string()]).optional(),
      }),
    )
    .min(1)
    .max(MAX_ENTRIES),
});

type Entry = z.infer<typeof putEventsSchema>['Entries'][number];

function refusal(code: string, message: string) {
  return { ErrorCode: code, ErrorMessage: message };
}

function parseDetail(text: string): Record<string, unknown> | undefined {
  try {
    const detail: unknown = JSON.parse(text);
    return typeof detail === 'object' && detail !== null && !Array.isArray(detail)
      ? (detail as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function timeOf(time: Entry['Time']): Date | undefined {
  if (time === undefined) return undefined;
  return typeof time === 'number' ? new Date(time * 1000) : new Date(time);
}

/** One entry's answer: EventBridge refuses entries one by one, and still answers 200. */
function putEntry(bridge: EventBridge, entry: Entry): Record<string, string> {
  const { Source: source, DetailType: detailType, Detail: text } = entry;
  if (!source)
    return refusal(
      'InvalidArgument',
      'Parameter Source is not valid. Reason: Source is a required argument.',
    );
  if (source.startsWith('aws.'))
    return refusal('NotAuthorizedForSourceException', 'Not authorized for the source.');
  if (!detailType) {
    return refusal(
      'InvalidArgument',
      'Parameter DetailType is not valid. Reason: DetailType is a required argument.',
    );
  }
  if (text === undefined) {
    return refusal(
      'InvalidArgument',
      'Parameter Detail is not valid. Reason: Detail is a required argument.',
    );
  }
  if (Buffer.byteLength(text) > MAX_ENTRY_BYTES)
    return refusal('InvalidArgument', 'Total size of the entry is over the limit.');
  const detail = parseDetail(text);
  if (detail === undefined) return refusal('MalformedDetail', 'Detail is malformed.');
  const { Resources: resources, EventBusName: bus } = entry;
  const emitted = { source, 'detail-type': detailType, resources, detail, bus };
  try {
    return { EventId: bridge.emit(emitted, timeOf(entry.Time)).id };
  } catch (error) {
    if (error instanceof AwsError) return refusal(error.code, error.message);
    throw error;
  }
}

function validated<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError('ValidationException', `1 validation error detected: ${z.prettifyError(parsed.error)}`);
}

function ruleView(rule: Rule) {
  return {
    Name: rule.name,
    Arn: rule.arn,
    State: rule.isEnabled ? 'ENABLED' : 'DISABLED',
    EventBusName: rule.busName,
    ...(rule.description === undefined ? {} : { Description: rule.description }),
    ...(rule.eventPattern === undefined ? {} : { EventPattern: rule.eventPattern }),
    ...(rule.scheduleExpression === undefined ? {} : { ScheduleExpression: rule.scheduleExpression }),
  };
}

const busSchema = z.object({
  EventBusName: z.string().default('default'),
  NamePrefix: z.string().default(''),
});
const ruleSchema = z.object({ EventBusName: z.string().default('default'), Name: z.string() });

/** PutEvents, ListRules, DescribeRule, ListTargetsByRule and ListEventBuses; rules come from the template alone. */
export function eventBridgeService(bridge: EventBridge): Service {
  const find = (input: unknown): Rule => {
    const { EventBusName, Name } = validated(ruleSchema, input);
    const rule = bridge.rules(EventBusName).find(({ name }) => name === Name);
    if (rule === undefined)
      throw new AwsError(
        'ResourceNotFoundException',
        `Rule ${Name} does not exist on EventBus ${EventBusName}.`,
      );
    return rule;
  };
  return {
    signingName: 'events',
    operations: {
      PutEvents(input: unknown) {
        const entries = validated(putEventsSchema, input).Entries.map((entry) => putEntry(bridge, entry));
        return { FailedEntryCount: entries.filter(({ ErrorCode }) => ErrorCode).length, Entries: entries };
      },
      ListRules(input: unknown) {
        const { EventBusName, NamePrefix } = validated(busSchema, input);
        const rules = bridge.rules(EventBusName).filter(({ name }) => name.startsWith(NamePrefix));
        return { Rules: rules.map(ruleView) };
      },
      DescribeRule: (input: unknown) => ruleView(find(input)),
      ListTargetsByRule(input: unknown) {
        const rule = find({ ...(input as object), Name: (input as { Rule?: unknown }).Rule });
        return { Targets: rule.targets.map(({ id, arn }) => ({ Id: id, Arn: arn })) };
      },
      ListEventBuses: () => ({
        EventBuses: bridge.busNames().map((name) => ({ Name: name, Arn: bridge.putBus(name).arn })),
      }),
    },
  };
}
