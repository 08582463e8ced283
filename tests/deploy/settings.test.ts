import { describe, expect, test } from 'vitest';
import { checkSettings } from '../../plugins/node-bundle/settings.ts';

/** Parameters of a template, of which only the defaults matter here. */
function parameters(values: Readonly<Record<string, string | number>> = {}) {
  const all = {
    MinSize: 1,
    DesiredCapacity: 2,
    MaxSize: 3,
    VpcId: '',
    SubnetIds: '',
    KeyName: '',
    SshCidr: '',
  };
  return Object.fromEntries(
    Object.entries({ ...all, ...values }).map(([name, Default]) => [name, { Default }]),
  );
}

describe('settings that contradict each other are refused before anything is deployed', () => {
  test.each([
    [{ VpcId: 'vpc-1' }, 'vpcId needs subnetIds'],
    [{ SubnetIds: 'subnet-1' }, 'subnetIds needs vpcId'],
    [{ SshCidr: '203.0.113.7/32' }, 'sshCidr needs keyName'],
    [{ MinSize: 3 }, 'minSize is more than desiredCapacity'],
    [{ DesiredCapacity: '4' }, 'desiredCapacity is more than maxSize'],
  ])('%o: %s', (values, complaint) => {
    expect(() => checkSettings(parameters(values), 'arm64')).toThrow(complaint);
  });

  test('an architecture that there is no image of', () => {
    expect(() => checkSettings(parameters(), 'x64')).toThrow('architecture is one of arm64, x86_64');
  });

  test('the defaults contradict nothing', () => {
    expect(() => checkSettings(parameters(), 'arm64')).not.toThrow();
    expect(() =>
      checkSettings(parameters({ VpcId: 'vpc-1', SubnetIds: 'subnet-1' }), 'x86_64'),
    ).not.toThrow();
  });
});
