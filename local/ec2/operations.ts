import { type Filter, passes } from '../filters.ts';
import { pageOf } from '../pages.ts';
import { AwsError, type Service } from '../service.ts';
import {
  machineFilterValues,
  reservationView,
  statusView,
  templateVersionView,
  templateView,
} from './describe.ts';
import type { Ec2 } from './ec2.ts';
import type { LaunchTemplate, TemplateName } from './launch-templates.ts';
import { type Machine, STATE_CODES } from './machine.ts';

/** AWS's page size when the caller names none. */
const DEFAULT_PAGE = 1000;

interface DescribeInput {
  readonly InstanceIds?: readonly string[];
  readonly Filters?: readonly Filter[];
  readonly MaxResults?: number;
  readonly NextToken?: string;
}

const page = <T>(all: readonly T[], { MaxResults, NextToken }: DescribeInput) =>
  pageOf(all, { nextToken: NextToken, maxItems: MaxResults ?? DEFAULT_PAGE, code: 'InvalidPaginationToken' });

/** @throws AwsError `InvalidInstanceID.Malformed` or `.NotFound`, in AWS's words for one and for several. */
function machinesNamed(ec2: Ec2, instanceIds: readonly string[]): readonly Machine[] {
  const malformed = instanceIds.find((id) => !/^i-[0-9a-f]+$/.test(id));
  if (malformed !== undefined) {
    throw new AwsError('InvalidInstanceID.Malformed', `Invalid id: "${malformed}"`);
  }
  const unknown = instanceIds.filter((id) => {
    const machine = ec2.find(id);
    return machine === undefined || !ec2.isKnown(machine);
  });
  if (unknown.length > 0) {
    const message =
      unknown.length === 1
        ? `The instance ID '${unknown[0]}' does not exist`
        : `The instance IDs '${unknown.join(', ')}' do not exist`;
    throw new AwsError('InvalidInstanceID.NotFound', message);
  }
  return ec2.list().filter(({ instanceId }) => instanceIds.includes(instanceId));
}

function selected(ec2: Ec2, { InstanceIds, Filters }: DescribeInput): readonly Machine[] {
  const named =
    InstanceIds === undefined || InstanceIds.length === 0 ? ec2.list() : machinesNamed(ec2, InstanceIds);
  const known = named.filter((machine) => ec2.isKnown(machine));
  return known.filter((machine) => passes(Filters, machineFilterValues(machine)));
}

function describeInstances(ec2: Ec2, input: DescribeInput) {
  const { items, nextToken } = page(selected(ec2, input), input);
  return {
    Reservations: items.map((machine) => reservationView(machine, ec2.isPublicIpKnown(machine))),
    NextToken: nextToken,
  };
}

function describeInstanceStatus(ec2: Ec2, input: DescribeInput & { IncludeAllInstances?: boolean }) {
  const shown = selected(ec2, input).filter(
    ({ state }) => input.IncludeAllInstances === true || state === 'running',
  );
  const { items, nextToken } = page(shown, input);
  return { InstanceStatuses: items.map(statusView), NextToken: nextToken };
}

function describeTags(ec2: Ec2, input: DescribeInput) {
  const tags = ec2.list().flatMap(({ instanceId, tags: ofMachine }) =>
    Object.entries(ofMachine).map(([Key, Value]) => ({
      ResourceId: instanceId,
      ResourceType: 'instance',
      Key,
      Value,
    })),
  );
  const shown = tags.filter((tag) =>
    passes(input.Filters, (name) => {
      const values: Readonly<Record<string, string>> = {
        'resource-id': tag.ResourceId,
        'resource-type': tag.ResourceType,
        key: tag.Key,
        value: tag.Value,
      };
      const value = name === `tag:${tag.Key}` ? tag.Value : values[name];
      if (value !== undefined) return [value];
      return name.startsWith('tag:') ? [] : undefined;
    }),
  );
  const { items, nextToken } = page(shown, input);
  return { Tags: items, NextToken: nextToken };
}

function terminateInstances(ec2: Ec2, input: { InstanceIds?: readonly string[] }) {
  const machines = machinesNamed(ec2, input.InstanceIds ?? []);
  return {
    TerminatingInstances: machines.map((machine) => {
      const previous = machine.state;
      if (previous !== 'terminated') ec2.terminate(machine.instanceId, 'User initiated');
      const current = previous === 'terminated' ? 'terminated' : 'shutting-down';
      return {
        InstanceId: machine.instanceId,
        CurrentState: { Code: STATE_CODES[current], Name: current },
        PreviousState: { Code: STATE_CODES[previous], Name: previous },
      };
    }),
  };
}

interface TemplatesInput extends TemplateName {
  readonly LaunchTemplateIds?: readonly string[];
  readonly LaunchTemplateNames?: readonly string[];
  readonly Versions?: readonly string[];
}

function describeLaunchTemplates(ec2: Ec2, input: TemplatesInput) {
  const named = [
    ...(input.LaunchTemplateIds ?? []).map((LaunchTemplateId) => ({ LaunchTemplateId })),
    ...(input.LaunchTemplateNames ?? []).map((LaunchTemplateName) => ({ LaunchTemplateName })),
  ].map((name) => ec2.launchTemplates.find(name));
  const shown: readonly LaunchTemplate[] = named.length > 0 ? named : ec2.launchTemplates.list();
  return { LaunchTemplates: shown.map(templateView) };
}

function describeLaunchTemplateVersions(ec2: Ec2, input: TemplatesInput) {
  const template = ec2.launchTemplates.find(input);
  const asked = input.Versions ?? template.versions.map(({ number }) => String(number));
  const versions = asked.map((version) => ec2.launchTemplates.version(template, version));
  return { LaunchTemplateVersions: versions.map((version) => templateVersionView(template, version)) };
}

/** EC2 as far as a group of instances needs it. */
export function ec2Service(ec2: Ec2): Service {
  return {
    signingName: 'ec2',
    operations: {
      DescribeInstances: (input: DescribeInput) => describeInstances(ec2, input),
      DescribeInstanceStatus: (input: DescribeInput) => describeInstanceStatus(ec2, input),
      DescribeTags: (input: DescribeInput) => describeTags(ec2, input),
      TerminateInstances: (input: { InstanceIds?: readonly string[] }) => terminateInstances(ec2, input),
      DescribeLaunchTemplates: (input: TemplatesInput) => describeLaunchTemplates(ec2, input),
      DescribeLaunchTemplateVersions: (input: TemplatesInput) => describeLaunchTemplateVersions(ec2, input),
    },
  };
}
