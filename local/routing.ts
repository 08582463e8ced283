import { DeliveryError, type TargetSender } from './event-bridge/delivery.ts';
import type { EventBridge } from './event-bridge/event-bridge.ts';
import type { Lambda } from './lambda/lambda.ts';
import type { Logs } from './logs/logs.ts';
import { AwsError } from './service.ts';
import type { Sqs } from './sqs/sqs.ts';

const EVENTS_PRINCIPAL = 'events.amazonaws.com';

/** What can receive something by ARN. Filled in after the services that route to each other exist. */
export interface Destinations {
  readonly lambda: () => Lambda;
  readonly bridge: () => EventBridge;
  readonly logs: Logs;
  readonly sqs: Sqs;
  readonly log: (line: string) => void;
}

function noPermission(arn: string): DeliveryError {
  return new DeliveryError('NO_PERMISSIONS', `EventBridge is not permitted to invoke ${arn}`, false);
}

function serviceOf(arn: string): string {
  return arn.split(':')[2] ?? '';
}

/** Gives one event to one target of a rule, with the permission checks that AWS makes. */
export function targetSender({ lambda, bridge, logs, sqs }: Destinations): TargetSender {
  const senders: Readonly<Record<string, TargetSender>> = {
    lambda(arn, payload, { ruleArn }) {
      if (!lambda().isPermitted(arn, EVENTS_PRINCIPAL, ruleArn)) throw noPermission(arn);
      lambda().invokeAsync(arn, payload);
    },
    sqs(arn, payload) {
      if (!sqs.allows(arn, EVENTS_PRINCIPAL)) throw noPermission(arn);
      sqs.send(arn, payload);
    },
    logs(arn, payload, { event }) {
      const groupName = arn.split(':log-group:')[1]?.replace(/:\*$/, '') ?? '';
      if (!logs.write(groupName, event.id, payload)) {
        throw new DeliveryError('RESOURCE_NOT_FOUND', `log group ${groupName} does not exist`, false);
      }
    },
    events(arn, _payload, { event }) {
      const { source, resources, detail } = event;
      bridge().emit({ source, 'detail-type': event['detail-type'], resources, detail, bus: arn });
    },
  };
  return (arn, payload, context) => {
    const send = senders[serviceOf(arn)];
    if (send === undefined) throw new DeliveryError('INVALID_TARGET', `no target can be ${arn}`, false);
    try {
      return send(arn, payload, context);
    } catch (error) {
      if (error instanceof AwsError) throw new DeliveryError(error.code, error.message, false);
      throw error;
    }
  };
}

/** Puts what EventBridge gave up into a dead letter queue, if the queue's own policy lets it. */
export function deadLetterSender({ sqs, log }: Destinations) {
  return (queueArn: string, body: string, attributes: Readonly<Record<string, string>>): void => {
    try {
      if (sqs.allows(queueArn, EVENTS_PRINCIPAL)) sqs.send(queueArn, body, attributes);
      else log(`a dead letter was lost: the policy of ${queueArn} does not let EventBridge send`);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      log(`a dead letter was lost: ${error.message}`);
    }
  };
}

/** Where Lambda sends what became of an asynchronous invocation; its role, not a policy, permits that. */
export function invocationDestination({ lambda, bridge, sqs, log }: Destinations) {
  return (arn: string, body: string, attributes: Readonly<Record<string, string>>): void => {
    try {
      if (serviceOf(arn) === 'sqs') sqs.send(arn, body, attributes);
      else if (serviceOf(arn) === 'lambda') lambda().invokeAsync(arn, body);
      else if (serviceOf(arn) === 'events') {
        const detail = JSON.parse(body) as Record<string, unknown>;
        const detailType = 'Lambda Function Invocation Result';
        bridge().emit({ source: 'lambda', 'detail-type': detailType, resources: [], detail, bus: arn });
      } else log(`nothing can be sent to ${arn}`);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      log(`the destination ${arn} refused an invocation's result: ${error.message}`);
    }
  };
}
