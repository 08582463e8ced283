import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ACCOUNT_ID, AwsError, type CloudClock, type Service } from '../service.ts';

interface Message {
  readonly messageId: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly sentMs: number;
  receiptHandle: string;
  receiveCount: number;
  /** Real ms since the epoch before which no consumer sees it. */
  visibleAtMs: number;
}

interface Queue {
  readonly name: string;
  readonly arn: string;
  readonly visibilityTimeoutMs: number;
  /** `AWS::SQS::QueuePolicy` documents; a service may send only where one allows its principal. */
  readonly policies: unknown[];
  messages: Message[];
}

/** Messages kept per queue, oldest dropped first. Dead letter queues of a healthy cloud are empty. */
const MAX_MESSAGES = 10_000;

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** SQS: standard queues from the template, mostly dead letter queues. In memory. */
export class Sqs {
  readonly #clock: CloudClock;
  readonly #region: string;
  readonly #queues = new Map<string, Queue>();

  constructor(clock: CloudClock, region: string) {
    this.#clock = clock;
    this.#region = region;
  }

  putQueue(name: string, visibilityTimeoutSeconds: number): { readonly arn: string } {
    const arn = `arn:aws:sqs:${this.#region}:${ACCOUNT_ID}:${name}`;
    const known = this.#queues.get(name);
    const visibilityTimeoutMs = visibilityTimeoutSeconds * 1000;
    this.#queues.set(name, { name, arn, visibilityTimeoutMs, policies: [], messages: known?.messages ?? [] });
    return { arn };
  }

  deleteQueue(name: string): void {
    this.#queues.delete(name);
  }

  addPolicy(name: string, document: unknown): void {
    this.find(name).policies.push(document);
  }

  queues(): readonly Queue[] {
    return [...this.#queues.values()];
  }

  /** By name, URL or ARN. @throws AwsError */
  find(reference: string): Queue {
    const queue = this.#queues.get(
      reference.slice(Math.max(reference.lastIndexOf('/'), reference.lastIndexOf(':')) + 1),
    );
    if (queue !== undefined) return queue;
    throw new AwsError('AWS.SimpleQueueService.NonExistentQueue', 'The specified queue does not exist.');
  }

  /** Whether a queue policy lets this service principal send. */
  allows(reference: string, principal: string): boolean {
    return this.find(reference).policies.some((document) => {
      const { Statement: statements } = document as { Statement?: unknown };
      return [statements].flat().some((statement) => {
        const { Effect, Principal } = statement as {
          Effect?: unknown;
          Principal?: { Service?: unknown } | '*';
        };
        const services = Principal === '*' ? [principal] : [Principal?.Service].flat();
        return Effect === 'Allow' && services.includes(principal);
      });
    });
  }

  send(reference: string, body: string, attributes: Readonly<Record<string, string>> = {}): string {
    const queue = this.find(reference);
    const now = this.#clock.now();
    const messageId = randomUUID();
    const message = {
      messageId,
      body,
      attributes,
      sentMs: now,
      receiptHandle: '',
      receiveCount: 0,
      visibleAtMs: now,
    };
    queue.messages.push(message);
    if (queue.messages.length > MAX_MESSAGES) queue.messages.shift();
    return messageId;
  }

  /** Each message received is invisible to others until the visibility timeout (cloud time) is over. */
  receive(reference: string, limit: number, visibilityTimeoutMs?: number): readonly Message[] {
    const queue = this.find(reference);
    const now = this.#clock.now();
    const received = queue.messages.filter(({ visibleAtMs }) => visibleAtMs <= now).slice(0, limit);
    for (const message of received) {
      message.receiptHandle = randomUUID();
      message.receiveCount += 1;
      message.visibleAtMs = now + (visibilityTimeoutMs ?? queue.visibilityTimeoutMs) / this.#clock.timeScale;
    }
    return received;
  }

  remove(reference: string, receiptHandle: string): void {
    const queue = this.find(reference);
    queue.messages = queue.messages.filter((message) => message.receiptHandle !== receiptHandle);
  }
}

const queueSchema = z.looseObject({ QueueUrl: z.string() });
const nameSchema = z.looseObject({ QueueName: z.string() });
const sendSchema = queueSchema.extend({
  MessageBody: z.string().min(1),
  MessageAttributes: z.record(z.string(), z.looseObject({ StringValue: z.string().default('') })).default({}),
});
const receiveSchema = queueSchema.extend({
  MaxNumberOfMessages: z.coerce.number().int().min(1).max(10).default(1),
  VisibilityTimeout: z.coerce.number().optional(),
});
const deleteSchema = queueSchema.extend({ ReceiptHandle: z.string() });

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError('InvalidParameterValue', z.prettifyError(parsed.error));
}

function messageView({ messageId, body, attributes, receiptHandle, sentMs, receiveCount }: Message) {
  const custom = Object.entries(attributes).map(
    ([name, value]) => [name, { StringValue: value, DataType: 'String' }] as const,
  );
  return {
    MessageId: messageId,
    ReceiptHandle: receiptHandle,
    MD5OfBody: md5(body),
    Body: body,
    Attributes: { SentTimestamp: String(sentMs), ApproximateReceiveCount: String(receiveCount) },
    ...(custom.length === 0 ? {} : { MessageAttributes: Object.fromEntries(custom) }),
  };
}

/** Send, receive, delete and look; long polling answers at once. */
export function sqsService(sqs: Sqs, queueUrl: (name: string) => string): Service {
  return {
    signingName: 'sqs',
    operations: {
      SendMessage(input: unknown) {
        const { QueueUrl, MessageBody, MessageAttributes } = parse(sendSchema, input);
        const attributes = Object.entries(MessageAttributes).map(([name, { StringValue }]) => [
          name,
          StringValue,
        ]);
        const MessageId = sqs.send(QueueUrl, MessageBody, Object.fromEntries(attributes));
        return { MessageId, MD5OfMessageBody: md5(MessageBody) };
      },
      ReceiveMessage(input: unknown) {
        const { QueueUrl, MaxNumberOfMessages, VisibilityTimeout } = parse(receiveSchema, input);
        const timeoutMs = VisibilityTimeout === undefined ? undefined : VisibilityTimeout * 1000;
        const messages = sqs.receive(QueueUrl, MaxNumberOfMessages, timeoutMs);
        return messages.length === 0 ? {} : { Messages: messages.map(messageView) };
      },
      DeleteMessage(input: unknown) {
        const { QueueUrl, ReceiptHandle } = parse(deleteSchema, input);
        sqs.remove(QueueUrl, ReceiptHandle);
        return {};
      },
      GetQueueAttributes(input: unknown) {
        const { arn, messages } = sqs.find(parse(queueSchema, input).QueueUrl);
        return { Attributes: { QueueArn: arn, ApproximateNumberOfMessages: String(messages.length) } };
      },
      GetQueueUrl: (input: unknown) => ({
        QueueUrl: queueUrl(sqs.find(parse(nameSchema, input).QueueName).name),
      }),
      ListQueues: () => ({ QueueUrls: sqs.queues().map(({ name }) => queueUrl(name)) }),
    },
  };
}
