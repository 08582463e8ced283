import { z } from 'zod';
import type { Target } from '../../event-bridge/delivery.ts';
import type { EventBridge } from '../../event-bridge/event-bridge.ts';
import type { Logs } from '../../logs/logs.ts';
import type { Sqs } from '../../sqs/sqs.ts';
import { generatedName, type ResourceHandlers } from '../resource-handler.ts';
import { document, read, text, wholeNumber } from './properties.ts';

/** Strict: an input transformer, or any target parameter that is not emulated, must stop the deploy. */
const targetSchema = z.strictObject({
  Id: z.string(),
  Arn: z.string(),
  Input: z.string().optional(),
  DeadLetterConfig: z.object({ Arn: z.string().optional() }).default({}),
  RetryPolicy: z
    .object({
      MaximumRetryAttempts: wholeNumber.min(0).max(185).default(185),
      MaximumEventAgeInSeconds: wholeNumber.min(60).max(86_400).default(86_400),
    })
    .default({ MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86_400 }),
});
const ruleSchema = z.object({
  Name: z.string().optional(),
  EventBusName: z.string().default('default'),
  Description: z.string().optional(),
  EventPattern: document.optional(),
  ScheduleExpression: z.string().optional(),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
  Targets: z.array(targetSchema).default([]),
});
const queueSchema = z.object({
  QueueName: z.string().optional(),
  VisibilityTimeout: wholeNumber.default(30),
});
const logGroupSchema = z.object({
  LogGroupName: z.string().optional(),
  RetentionInDays: wholeNumber.optional(),
});

function targetOf(target: z.infer<typeof targetSchema>): Target {
  return {
    id: target.Id,
    arn: target.Arn,
    input: target.Input,
    deadLetterArn: target.DeadLetterConfig.Arn,
    maximumRetryAttempts: target.RetryPolicy.MaximumRetryAttempts,
    maximumEventAgeMs: target.RetryPolicy.MaximumEventAgeInSeconds * 1000,
  };
}

export function eventResources(bridge: EventBridge): ResourceHandlers {
  return {
    'AWS::Events::EventBus'(request) {
      const name = read(z.object({ Name: z.string() }), request.properties).Name;
      return {
        ref: name,
        attributes: { Arn: bridge.putBus(name).arn, Name: name },
        delete: () => bridge.deleteBus(name),
      };
    },
    'AWS::Events::EventBusPolicy': (request) => ({ ref: generatedName(request) }),
    'AWS::Events::Rule'(request) {
      const properties = read(ruleSchema, request.properties);
      const name = properties.Name ?? generatedName(request);
      const busName = properties.EventBusName.slice(properties.EventBusName.lastIndexOf('/') + 1);
      const { arn } = bridge.putRule({
        name,
        busName,
        description: properties.Description,
        eventPattern:
          properties.EventPattern === undefined ? undefined : JSON.stringify(properties.EventPattern),
        scheduleExpression: properties.ScheduleExpression,
        isEnabled: properties.State === 'ENABLED',
        targets: properties.Targets.map(targetOf),
      });
      const ref = busName === 'default' ? name : `${busName}|${name}`;
      return { ref, attributes: { Arn: arn }, delete: () => bridge.deleteRule(busName, name) };
    },
  };
}

export function queueResources(sqs: Sqs, queueUrl: (name: string) => string): ResourceHandlers {
  return {
    'AWS::SQS::Queue'(request) {
      const { QueueName: name = generatedName(request), VisibilityTimeout } = read(
        queueSchema,
        request.properties,
      );
      const { arn } = sqs.putQueue(name, VisibilityTimeout);
      const ref = queueUrl(name);
      return {
        ref,
        attributes: { Arn: arn, QueueName: name, QueueUrl: ref },
        delete: () => sqs.deleteQueue(name),
      };
    },
    'AWS::SQS::QueuePolicy'(request) {
      const schema = z.object({ Queues: z.array(z.string()), PolicyDocument: document });
      const { Queues, PolicyDocument } = read(schema, request.properties);
      for (const queue of Queues) sqs.addPolicy(queue, PolicyDocument);
      return { ref: generatedName(request) };
    },
  };
}

export function logResources(logs: Logs): ResourceHandlers {
  return {
    'AWS::Logs::LogGroup'(request) {
      const { LogGroupName: name = generatedName(request), RetentionInDays } = read(
        logGroupSchema,
        request.properties,
      );
      const { arn } = logs.putGroup(name, RetentionInDays);
      return { ref: name, attributes: { Arn: `${arn}:*` }, delete: () => logs.deleteGroup(name) };
    },
    'AWS::Logs::ResourcePolicy'(request) {
      const schema = z.object({ PolicyName: text, PolicyDocument: z.union([z.string(), document]) });
      return { ref: read(schema, request.properties).PolicyName };
    },
  };
}
