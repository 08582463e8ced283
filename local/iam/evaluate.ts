import { type Context, conditionHolds, UnknownOperator } from './conditions.ts';
import { matchesPattern, substitute } from './pattern.ts';
import type { Statement } from './policy.ts';

/** One action on one resource, as a service asks IAM about it. */
export interface AccessRequest {
  /** `dynamodb:GetItem` */
  readonly action: string;
  /** ARN, or `*` for actions that know no resources. */
  readonly resource: string;
  readonly context: Context;
}

export type Verdict =
  | { readonly kind: 'allowed'; readonly by: Statement; readonly grantedAction: string }
  | { readonly kind: 'explicitly denied' | 'not allowed' };

/** Actions are compared without case, and may have wildcards. */
function matchingAction(patterns: readonly string[], action: string): string | undefined {
  return patterns.find((pattern) => matchesPattern(pattern.toLowerCase(), action.toLowerCase()));
}

function matchesResource(patterns: readonly string[], { resource, context }: AccessRequest): boolean {
  return patterns.some((pattern) => {
    const filled = substitute(pattern, context);
    return filled !== undefined && matchesPattern(filled, resource);
  });
}

/** The action pattern by which a statement speaks of the request; undefined when it does not. */
function applies(statement: Statement, request: AccessRequest): string | undefined {
  const { Action, NotAction, Resource, NotResource } = statement;
  const granted = Action === undefined ? '*' : matchingAction(Action, request.action);
  if (granted === undefined) return undefined;
  if (NotAction !== undefined && matchingAction(NotAction, request.action) !== undefined) return undefined;
  if (Resource !== undefined && !matchesResource(Resource, request)) return undefined;
  if (NotResource !== undefined && matchesResource(NotResource, request)) return undefined;
  return granted;
}

function conditionMet(statement: Statement, { context }: AccessRequest): boolean {
  try {
    return conditionHolds(statement.Condition, context);
  } catch (error) {
    if (!(error instanceof UnknownOperator)) throw error;
    // What cannot be evaluated must not open anything: a grant does not hold, a denial does.
    return statement.Effect === 'Deny';
  }
}

/** IAM's own order: a denial ends it, then any grant allows, and silence refuses. */
export function evaluateAccess(statements: readonly Statement[], request: AccessRequest): Verdict {
  const speaking = statements.flatMap((statement) => {
    const grantedAction = applies(statement, request);
    return grantedAction !== undefined && conditionMet(statement, request)
      ? [{ statement, grantedAction }]
      : [];
  });
  if (speaking.some(({ statement }) => statement.Effect === 'Deny')) return { kind: 'explicitly denied' };
  const [first] = speaking;
  if (first === undefined) return { kind: 'not allowed' };
  return { kind: 'allowed', by: first.statement, grantedAction: first.grantedAction };
}
