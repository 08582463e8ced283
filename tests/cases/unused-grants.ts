/**
 * Actions that the template grants and that no code of this project calls: programs of AWS that run on the instances
 * do, and the local cloud has none of them. Everything else that is granted is used in `least-privilege.test.ts`, which
 * fails for an action that is missing here and for one that stands here in vain.
 */
export const USED_BY_AWS_ALONE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  NodeRole: {
    'logs:CreateLogStream': "the CloudWatch agent opens a stream for each of the instance's log files",
    'logs:PutLogEvents': "the CloudWatch agent ships the node's and the boot script's lines",
    'ssm:UpdateInstanceInformation': 'the SSM agent registers the instance for Session Manager',
    'ssmmessages:CreateControlChannel': 'the SSM agent waits for sessions',
    'ssmmessages:OpenControlChannel': 'the same',
    'ssmmessages:CreateDataChannel': 'the SSM agent carries a session',
    'ssmmessages:OpenDataChannel': 'the same',
  },
};
