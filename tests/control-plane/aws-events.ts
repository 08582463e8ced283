/** An event of a lifecycle hook, as EventBridge delivers it. */
export function lifecycle(
  kind: 'launch' | 'terminate',
  instanceId: string,
  detail: Record<string, unknown> = {},
) {
  return {
    version: '0',
    id: 'e-1',
    'detail-type': `EC2 Instance-${kind} Lifecycle Action`,
    source: 'aws.autoscaling',
    detail: {
      LifecycleActionToken: `token-${instanceId}`,
      AutoScalingGroupName: 'chordfs-test',
      LifecycleHookName: kind,
      EC2InstanceId: instanceId,
      LifecycleTransition: `autoscaling:EC2_INSTANCE_${kind === 'launch' ? 'LAUNCHING' : 'TERMINATING'}`,
      Origin: kind === 'launch' ? 'EC2' : 'AutoScalingGroup',
      Destination: kind === 'launch' ? 'AutoScalingGroup' : 'EC2',
      ...detail,
    },
  };
}

/** A change of an alarm's state, as CloudWatch tells it. */
export function alarm(value: string, timestamp = '2026-01-01T12:00:00.000+0000', alarmName = 'disk') {
  const before = { value: value === 'OK' ? 'ALARM' : 'OK', reason: 'r', reasonData: '{}', timestamp };
  return {
    'detail-type': 'CloudWatch Alarm State Change',
    source: 'aws.cloudwatch',
    detail: {
      alarmName,
      state: { value, reason: 'r', reasonData: '{}', timestamp },
      previousState: before,
      configuration: { metrics: [] },
    },
  };
}

/** What came of a launch or a termination. */
export function activity(type: string, instanceId: string, detail: Record<string, unknown> = {}) {
  return {
    'detail-type': type,
    source: 'aws.autoscaling',
    time: '2026-01-01T12:00:00Z',
    detail: {
      AutoScalingGroupName: 'chordfs-test',
      ActivityId: 'activity-1',
      EC2InstanceId: instanceId,
      StatusCode: type.endsWith('Unsuccessful') ? 'Failed' : 'InProgress',
      Origin: 'EC2',
      Destination: 'AutoScalingGroup',
      ...detail,
    },
  };
}
