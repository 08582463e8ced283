/**
 * The two STS operations that people and SDKs use against a local endpoint, in the form of the SDK's own schemas
 * (kind, namespace, name, traits, member names, member types; 0 is a string, 4 a timestamp). Written by hand because
 * a whole client package for two operations is not worth its weight.
 */

const NAMESPACE = 'com.amazonaws.sts';
const STRUCTURE = 3;
const OPERATION = 9;
const STRING = 0;
const NUMBER = 1;
const TIMESTAMP = 4;

const structure = (name: string, members: Readonly<Record<string, unknown>>): readonly unknown[] => [
  STRUCTURE,
  NAMESPACE,
  name,
  0,
  Object.keys(members),
  Object.values(members),
];

const credentials = structure('Credentials', {
  AccessKeyId: STRING,
  SecretAccessKey: STRING,
  SessionToken: STRING,
  Expiration: TIMESTAMP,
});
const assumedRoleUser = structure('AssumedRoleUser', { AssumedRoleId: STRING, Arn: STRING });

export const STS_SCHEMAS = {
  GetCallerIdentity: [
    OPERATION,
    NAMESPACE,
    'GetCallerIdentity',
    0,
    structure('GetCallerIdentityRequest', {}),
    structure('GetCallerIdentityResponse', { UserId: STRING, Account: STRING, Arn: STRING }),
  ],
  AssumeRole: [
    OPERATION,
    NAMESPACE,
    'AssumeRole',
    0,
    structure('AssumeRoleRequest', { RoleArn: STRING, RoleSessionName: STRING, DurationSeconds: NUMBER }),
    structure('AssumeRoleResponse', {
      Credentials: () => credentials,
      AssumedRoleUser: () => assumedRoleUser,
    }),
  ],
} as const;
