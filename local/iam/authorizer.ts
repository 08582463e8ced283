import { ACCOUNT_ID, AwsError } from '../service.ts';
import { type ApiCall, accessOf, type ResourceNames } from './access.ts';
import { type AccessRequest, evaluateAccess, type Verdict } from './evaluate.ts';
import { parsePolicy, type Statement } from './policy.ts';

/** Who acts: a role's session. Without a role it is the operator, who may do everything. */
export interface Principal {
  readonly roleArn: string | undefined;
  readonly session?: string | undefined;
}

/** A grant that was made use of: the action as the policy has it, and the role it was granted to. */
export interface Use {
  readonly roleName: string;
  readonly grantedAction: string;
}

export interface Refusal extends AccessRequest {
  readonly roleName: string;
  readonly session: string | undefined;
}

/** Refusals kept, oldest dropped first: a loop that is refused must not fill the memory. */
const MAX_REFUSALS = 1_000;

const nameOf = (roleArn: string): string => roleArn.slice(roleArn.lastIndexOf('/') + 1);

/**
 * IAM's decision on every call of a role, by the policies that the template gives it. Remembers which grants were
 * used and what was refused, so that roles can be held against what is done with them.
 */
export class Authorizer {
  readonly #documentsOf: (roleArn: string) => readonly unknown[];
  readonly #names: ResourceNames;
  readonly #parsed = new WeakMap<object, readonly Statement[]>();
  readonly #uses = new Map<string, Use>();
  readonly #refusals: Refusal[] = [];

  constructor(documentsOf: (roleArn: string) => readonly unknown[], names: ResourceNames) {
    this.#documentsOf = documentsOf;
    this.#names = names;
  }

  uses(): readonly Use[] {
    return [...this.#uses.values()];
  }

  refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  /** Whether the principal may do this; remembered like a call. */
  permits(principal: Principal, request: AccessRequest): boolean {
    const verdict = this.#decide(principal, request);
    return verdict === undefined || verdict.kind === 'allowed';
  }

  /** @throws AwsError in the words and with the code of the service that is called. */
  check(principal: Principal, call: ApiCall): void {
    if (principal.roleArn === undefined) return;
    for (const request of accessOf(call, this.#names)) this.assert(principal, request, call.service);
  }

  /** @throws AwsError */
  assert(principal: Principal, request: AccessRequest, service: string): void {
    const verdict = this.#decide(principal, request);
    if (verdict === undefined || verdict.kind === 'allowed') return;
    throw accessDenied(service, principal, request, verdict.kind);
  }

  /** Every action that a role is granted, as its policies have it. */
  granted(roleArn: string): readonly string[] {
    const statements = this.#statements(roleArn).filter(({ Effect }) => Effect === 'Allow');
    return [...new Set(statements.flatMap(({ Action, NotAction }) => Action ?? NotAction ?? []))];
  }

  #decide({ roleArn, session }: Principal, request: AccessRequest): Verdict | undefined {
    if (roleArn === undefined) return undefined;
    const roleName = nameOf(roleArn);
    const own = new Map([
      ['aws:principaltype', ['AssumedRole']],
      ['aws:principalarn', [roleArn]],
      ['aws:principalaccount', [ACCOUNT_ID]],
      ['aws:requestedregion', [this.#names.region]],
      ['aws:currenttime', [new Date().toISOString()]],
      ['aws:epochtime', [String(Math.floor(Date.now() / 1000))]],
      ['aws:userid', [`AROA${roleName}:${session ?? ''}`]],
      // A session of an instance's credentials is named after the instance.
      ...(session?.startsWith('i-') === true
        ? [['ec2:sourceinstancearn', [this.#instanceArn(session)]] as const]
        : []),
    ] as [string, string[]][]);
    const context = new Map([...own, ...request.context]);
    const verdict = evaluateAccess(this.#statements(roleArn), { ...request, context });
    if (verdict.kind === 'allowed') {
      const { grantedAction } = verdict;
      this.#uses.set(`${roleName} ${grantedAction}`, { roleName, grantedAction });
    } else {
      this.#refusals.push({ ...request, roleName, session });
      if (this.#refusals.length > MAX_REFUSALS) this.#refusals.shift();
    }
    return verdict;
  }

  #instanceArn(instanceId: string): string {
    return `arn:aws:ec2:${this.#names.region}:${ACCOUNT_ID}:instance/${instanceId}`;
  }

  #statements(roleArn: string): readonly Statement[] {
    return this.#documentsOf(roleArn).flatMap((document) => {
      if (typeof document !== 'object' || document === null) return [];
      let statements = this.#parsed.get(document);
      if (statements === undefined) {
        statements = parsePolicy(document);
        this.#parsed.set(document, statements);
      }
      return statements;
    });
  }
}

/** Services that speak JSON answer 400, the others 403. */
const JSON_SERVICES = ['dynamodb', 'events', 'logs', 'ssm', 'ecr'];

function accessDenied(
  service: string,
  { roleArn = '', session = '' }: Principal,
  { action, resource }: AccessRequest,
  why: 'explicitly denied' | 'not allowed',
): AwsError {
  const user = `arn:aws:sts::${ACCOUNT_ID}:assumed-role/${nameOf(roleArn)}/${session}`;
  const because =
    why === 'not allowed'
      ? `no identity-based policy allows the ${action} action`
      : 'an explicit deny in an identity-based policy';
  const on = resource === '*' ? '' : ` on resource: ${resource}`;
  const reason = `User: ${user} is not authorized to perform: ${action}${on} because ${because}`;
  if (service === 'ec2') {
    const message = `You are not authorized to perform this operation. ${reason}`;
    return new AwsError('UnauthorizedOperation', message, 403);
  }
  if (JSON_SERVICES.includes(service)) return new AwsError('AccessDeniedException', reason);
  if (service === 'lambda') return new AwsError('AccessDeniedException', reason, 403);
  return new AwsError('AccessDenied', service === 's3' ? 'Access Denied' : reason, 403);
}
