import { type FilterValues, tagValues } from '../filters.ts';
import { ACCOUNT_ID } from '../service.ts';
import type { LaunchTemplate, LaunchTemplateVersion } from './launch-templates.ts';
import { type Machine, STATE_CODES } from './machine.ts';

const tagList = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

const stateOf = ({ state }: Machine) => ({ Code: STATE_CODES[state], Name: state });

/** AWS's DNS names of addresses: `ip-10-0-0-1.ec2.internal`. */
const dashed = (address: string): string => address.replaceAll('.', '-');

const publicAddresses = (publicIp: string) => ({
  PublicIpAddress: publicIp,
  PublicDnsName: `ec2-${dashed(publicIp)}.compute-1.amazonaws.com`,
});

/** One entry of `Reservations[].Instances`; a public address that was given shows a while after the rest. */
export function instanceView(machine: Machine, isPublicIpKnown = true) {
  const { data, state } = machine;
  const isGone = state === 'terminated';
  const hasPublicIp = isPublicIpKnown && machine.publicIp !== '';
  const addresses = isGone
    ? {}
    : {
        PrivateIpAddress: machine.privateIp,
        PrivateDnsName: `ip-${dashed(machine.privateIp)}.ec2.internal`,
        ...(hasPublicIp ? publicAddresses(machine.publicIp) : {}),
        SubnetId: machine.subnetId,
      };
  return {
    InstanceId: machine.instanceId,
    ImageId: data.ImageId,
    InstanceType: data.InstanceType,
    State: stateOf(machine),
    ...addresses,
    LaunchTime: new Date(machine.launchedMs),
    Placement: { AvailabilityZone: machine.availabilityZone, GroupName: '', Tenancy: 'default' },
    Architecture: 'arm64',
    AmiLaunchIndex: 0,
    IamInstanceProfile:
      data.IamInstanceProfile?.Arn === undefined ? undefined : { Arn: data.IamInstanceProfile.Arn },
    SecurityGroups: (data.SecurityGroupIds ?? []).map((GroupId) => ({ GroupId, GroupName: GroupId })),
    StateTransitionReason: machine.stateReason,
    StateReason:
      machine.stateReason === ''
        ? undefined
        : { Code: machine.stateReason.split(':')[0], Message: machine.stateReason },
    Tags: tagList(machine.tags),
    MetadataOptions: {
      State: 'applied' as const,
      HttpTokens: 'required' as const,
      HttpEndpoint: 'enabled' as const,
      InstanceMetadataTags: data.MetadataOptions?.InstanceMetadataTags ?? 'disabled',
    },
    VirtualizationType: 'hvm',
    RootDeviceType: 'ebs',
    Monitoring: { State: 'disabled' as const },
  };
}

export function reservationView(machine: Machine, isPublicIpKnown = true) {
  return {
    ReservationId: machine.reservationId,
    OwnerId: ACCOUNT_ID,
    Groups: [],
    Instances: [instanceView(machine, isPublicIpKnown)],
  };
}

/** One entry of `InstanceStatuses`; a machine whose process runs passes both checks. */
export function statusView(machine: Machine) {
  const check = machine.state === 'running' ? 'ok' : 'not-applicable';
  return {
    InstanceId: machine.instanceId,
    AvailabilityZone: machine.availabilityZone,
    InstanceState: stateOf(machine),
    InstanceStatus: { Status: check, Details: [] },
    SystemStatus: { Status: check, Details: [] },
  };
}

export function machineFilterValues(machine: Machine): FilterValues {
  const values: Readonly<Record<string, readonly string[]>> = {
    'instance-id': [machine.instanceId],
    'instance-state-name': [machine.state],
    'instance-state-code': [String(STATE_CODES[machine.state])],
    'instance-type': [machine.data.InstanceType],
    'image-id': [machine.data.ImageId],
    'availability-zone': [machine.availabilityZone],
    'subnet-id': [machine.subnetId],
    'private-ip-address': [machine.privateIp],
    'ip-address': [machine.publicIp],
    'reservation-id': [machine.reservationId],
  };
  return (name) => values[name] ?? tagValues(name, machine.tags);
}

export function templateView(template: LaunchTemplate) {
  return {
    LaunchTemplateId: template.launchTemplateId,
    LaunchTemplateName: template.name,
    CreateTime: new Date(template.createdMs),
    CreatedBy: `arn:aws:iam::${ACCOUNT_ID}:root`,
    DefaultVersionNumber: template.defaultVersion,
    LatestVersionNumber: template.versions.at(-1)?.number ?? 0,
  };
}

export function templateVersionView(template: LaunchTemplate, version: LaunchTemplateVersion) {
  return {
    LaunchTemplateId: template.launchTemplateId,
    LaunchTemplateName: template.name,
    VersionNumber: version.number,
    VersionDescription: version.description,
    CreateTime: new Date(version.createdMs),
    CreatedBy: `arn:aws:iam::${ACCOUNT_ID}:root`,
    DefaultVersion: version.number === template.defaultVersion,
    LaunchTemplateData: version.data,
  };
}
