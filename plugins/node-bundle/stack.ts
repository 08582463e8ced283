import { type CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { hasName } from './error-name.ts';

export interface DeployedStack {
  /** As CloudFormation names it: `UPDATE_COMPLETE`, `DELETE_IN_PROGRESS`, ... */
  readonly status: string;
  /** Its deletion is refused until somebody lifts that. */
  readonly isProtected: boolean;
  readonly outputs: Readonly<Record<string, string>>;
}

/** Undefined when there is none. */
export async function describeStack(
  cloudFormation: CloudFormationClient,
  StackName: string,
): Promise<DeployedStack | undefined> {
  try {
    const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
    const [stack] = Stacks;
    if (stack === undefined) return undefined;
    const outputs = (stack.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [
      OutputKey,
      OutputValue,
    ]);
    return {
      status: stack.StackStatus ?? '',
      isProtected: stack.EnableTerminationProtection ?? false,
      outputs: Object.fromEntries(outputs) as Record<string, string>,
    };
  } catch (error) {
    if (hasName(error, 'ValidationError') && /does not exist/.test((error as Error).message))
      return undefined;
    throw error;
  }
}

/**
 * Whether the stage is there to stay: nothing is done to its stack, and nobody has begun to delete it. A deletion that
 * has failed is none of these, because such a stack can only be deleted again.
 */
export function isSettled({ status }: DeployedStack): boolean {
  return /^(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT|IMPORT_ROLLBACK)_COMPLETE$/.test(status);
}

/** Why CloudFormation would refuse to delete the stack; undefined: nothing is known against it. */
export function removalObstacle(stack: DeployedStack, stackName: string): string | undefined {
  if (stack.isProtected)
    return `its stack is protected from deletion. To lift that: aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name ${stackName}`;
  if (/^(UPDATE|IMPORT)_.*IN_PROGRESS$/.test(stack.status))
    return `its stack is ${stack.status}. Wait until that is over`;
  return undefined;
}
