import { z } from 'zod';
import { ACCOUNT_ID, AwsError, type CloudClock, type Service } from '../service.ts';

interface LogEvent {
  readonly eventId: string;
  readonly timestamp: number;
  readonly logStreamName: string;
  readonly message: string;
}

interface LogGroup {
  readonly arn: string;
  readonly createdMs: number;
  readonly retentionInDays: number | undefined;
  readonly events: LogEvent[];
}

/** Events kept per group, oldest dropped first: a long run must not fill the memory. */
const MAX_EVENTS = 5_000;

/** CloudWatch Logs: groups from the template, lines from functions and rules. A line for an undeclared group is lost. */
export class Logs {
  readonly #clock: CloudClock;
  readonly #region: string;
  readonly #groups = new Map<string, LogGroup>();
  #sequence = 0;

  constructor(clock: CloudClock, region: string) {
    this.#clock = clock;
    this.#region = region;
  }

  /** Safe to repeat; keeps what is in the group. */
  putGroup(name: string, retentionInDays: number | undefined): { readonly arn: string } {
    const known = this.#groups.get(name);
    const arn = `arn:aws:logs:${this.#region}:${ACCOUNT_ID}:log-group:${name}`;
    const { events, createdMs } = known ?? { events: [], createdMs: this.#clock.now() };
    this.#groups.set(name, { arn, createdMs, retentionInDays, events });
    return { arn };
  }

  deleteGroup(name: string): void {
    this.#groups.delete(name);
  }

  /** False when the group does not exist: the roles of this project may not create groups either. */
  write(groupName: string, logStreamName: string, message: string): boolean {
    const group = this.#groups.get(groupName);
    if (group === undefined) return false;
    this.#sequence += 1;
    const eventId = String(this.#sequence).padStart(56, '0');
    group.events.push({ eventId, timestamp: this.#clock.now(), logStreamName, message });
    if (group.events.length > MAX_EVENTS) group.events.splice(0, group.events.length - MAX_EVENTS);
    return true;
  }

  groups(): ReadonlyMap<string, LogGroup> {
    return this.#groups;
  }

  /** @throws AwsError `ResourceNotFoundException` */
  events(groupName: string): readonly LogEvent[] {
    const group = this.#groups.get(groupName);
    if (group !== undefined) return group.events;
    throw new AwsError('ResourceNotFoundException', 'The specified log group does not exist.');
  }
}

const describeSchema = z.looseObject({ logGroupNamePrefix: z.string().default('') });
const streamsSchema = z.looseObject({ logGroupName: z.string() });
const filterSchema = z.looseObject({
  logGroupName: z.string(),
  logStreamName: z.string().optional(),
  filterPattern: z.string().default(''),
  startTime: z.coerce.number().default(0),
  endTime: z.coerce.number().default(Number.POSITIVE_INFINITY),
  limit: z.coerce.number().int().min(1).max(10_000).default(10_000),
});

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError('InvalidParameterException', z.prettifyError(parsed.error));
}

/** Only the simplest filter patterns: words that must all occur, in quotes or without. */
function filter(logs: Logs, input: unknown): LogEvent[] {
  const { logGroupName, logStreamName, filterPattern, startTime, endTime, limit } = parse(
    filterSchema,
    input,
  );
  const words = [...filterPattern.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? '',
  );
  return logs
    .events(logGroupName)
    .filter(
      ({ timestamp, message, ...event }) =>
        timestamp >= startTime &&
        timestamp <= endTime &&
        (logStreamName === undefined || event.logStreamName === logStreamName) &&
        words.every((word) => message.includes(word)),
    )
    .slice(-limit);
}

/** What people and tests read with: groups, streams and their events. */
export function logsService(logs: Logs): Service {
  return {
    signingName: 'logs',
    operations: {
      DescribeLogGroups(input: unknown) {
        const { logGroupNamePrefix } = parse(describeSchema, input);
        const groups = [...logs.groups()].filter(([name]) => name.startsWith(logGroupNamePrefix));
        return {
          logGroups: groups.map(([logGroupName, { arn, createdMs, retentionInDays }]) => ({
            logGroupName,
            arn: `${arn}:*`,
            creationTime: createdMs,
            ...(retentionInDays === undefined ? {} : { retentionInDays }),
          })),
        };
      },
      DescribeLogStreams(input: unknown) {
        const names = new Set(
          logs.events(parse(streamsSchema, input).logGroupName).map((event) => event.logStreamName),
        );
        return { logStreams: [...names].map((logStreamName) => ({ logStreamName })) };
      },
      FilterLogEvents: (input: unknown) => ({
        events: filter(logs, input).map((event) => ({ ...event, ingestionTime: event.timestamp })),
      }),
      GetLogEvents: (input: unknown) => ({
        events: filter(logs, input).map(({ timestamp, message }) => ({
          timestamp,
          message,
          ingestionTime: timestamp,
        })),
      }),
    },
  };
}
