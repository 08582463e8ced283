import type { Credentials } from '../imds/credentials.ts';
import { ACCOUNT_ID, AwsError, type Caller, type Service } from '../service.ts';

/** `arn:aws:iam::1:role/a/NAME` -> `arn:aws:sts::1:assumed-role/NAME/SESSION`. */
function assumedRoleArn(roleArn: string, session: string): string {
  const roleName = roleArn.slice(roleArn.lastIndexOf('/') + 1);
  return `arn:aws:sts::${ACCOUNT_ID}:assumed-role/${roleName}/${session}`;
}

/** Who am I, and be somebody else: what `aws sts get-caller-identity` and role chains need. */
export function createSts(credentials: Credentials): Service {
  return {
    signingName: 'sts',
    operations: {
      GetCallerIdentity: (_input: unknown, caller: Caller) => ({
        Account: ACCOUNT_ID,
        UserId: caller.accessKeyId === '' ? 'anonymous' : caller.accessKeyId,
        Arn:
          caller.roleArn === undefined
            ? `arn:aws:iam::${ACCOUNT_ID}:root`
            : assumedRoleArn(caller.roleArn, caller.session ?? caller.accessKeyId),
      }),
      AssumeRole: (input: { RoleArn?: string; RoleSessionName?: string }) => {
        if (!/^arn:aws:iam::\d{12}:role\/.+/.test(input.RoleArn ?? '')) {
          throw new AwsError('ValidationError', `${input.RoleArn ?? ''} is invalid`);
        }
        const issued = credentials.issue(input.RoleArn ?? '', input.RoleSessionName);
        const arn = assumedRoleArn(input.RoleArn ?? '', input.RoleSessionName ?? 'session');
        return {
          Credentials: {
            AccessKeyId: issued.accessKeyId,
            SecretAccessKey: issued.secretAccessKey,
            SessionToken: issued.sessionToken,
            Expiration: issued.expiration,
          },
          AssumedRoleUser: { AssumedRoleId: issued.accessKeyId, Arn: arn },
        };
      },
    },
  };
}
