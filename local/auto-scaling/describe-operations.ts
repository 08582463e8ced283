import { type Filter, passes, tagValues } from '../filters.ts';
import { pageOf } from '../pages.ts';
import type { Operation } from '../service.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { activityView, groupView, hookView, instanceDetails, refreshView } from './describe.ts';
import type { GroupState } from './group-state.ts';
import { TERMINATION_POLICIES } from './termination-policy.ts';

interface PageInput {
  readonly MaxRecords?: number;
  readonly NextToken?: string;
}

/** AWS's page size when the caller names none. */
const DEFAULT_PAGE = 50;

const page = <T>(all: readonly T[], input: PageInput) =>
  pageOf(all, {
    nextToken: input.NextToken,
    maxItems: input.MaxRecords ?? DEFAULT_PAGE,
    code: 'InvalidNextToken',
  });

const tagsOf = ({ configuration }: GroupState): Record<string, string> =>
  Object.fromEntries(configuration.tags.map(({ Key, Value }) => [Key, Value]));

interface GroupsInput extends PageInput {
  readonly AutoScalingGroupNames?: readonly string[];
  readonly Filters?: readonly Filter[];
}

/** Unknown names are left out, not refused, as on AWS. */
function describeGroups(autoScaling: AutoScaling, input: GroupsInput) {
  const names = input.AutoScalingGroupNames ?? [];
  const groups = autoScaling
    .list()
    .map(({ state }) => state)
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .filter((group) => passes(input.Filters, (name) => tagValues(name, tagsOf(group))));
  const { items, nextToken } = page(groups, input);
  return { AutoScalingGroups: items.map(groupView), NextToken: nextToken };
}

function describeInstances(autoScaling: AutoScaling, input: PageInput & { InstanceIds?: readonly string[] }) {
  const ids = input.InstanceIds ?? [];
  const instances = autoScaling
    .list()
    .flatMap(({ state }) => state.instances.map((instance) => instanceDetails(state, instance)))
    .filter(({ InstanceId }) => ids.length === 0 || ids.includes(InstanceId));
  const { items, nextToken } = page(instances, input);
  return { AutoScalingInstances: items, NextToken: nextToken };
}

interface ActivitiesInput extends PageInput {
  readonly AutoScalingGroupName?: string;
  readonly ActivityIds?: readonly string[];
}

function describeActivities(autoScaling: AutoScaling, input: ActivitiesInput) {
  const groups =
    input.AutoScalingGroupName === undefined
      ? autoScaling.list()
      : [autoScaling.find(input.AutoScalingGroupName)];
  const ids = input.ActivityIds ?? [];
  const activities = groups
    .flatMap(({ state }) => state.activities.map((activity) => activityView(state, activity)))
    .filter(({ ActivityId }) => ids.length === 0 || ids.includes(ActivityId))
    .reverse();
  const { items, nextToken } = page(activities, input);
  return { Activities: items, NextToken: nextToken };
}

interface HooksInput {
  readonly AutoScalingGroupName: string;
  readonly LifecycleHookNames?: readonly string[];
}

function describeHooks(autoScaling: AutoScaling, input: HooksInput) {
  const { state } = autoScaling.find(input.AutoScalingGroupName);
  const names = input.LifecycleHookNames ?? [];
  const hooks = state.hooks.filter(
    ({ LifecycleHookName }) => names.length === 0 || names.includes(LifecycleHookName),
  );
  return { LifecycleHooks: hooks.map((hook) => hookView(state, hook)) };
}

interface RefreshesInput extends PageInput {
  readonly AutoScalingGroupName: string;
  readonly InstanceRefreshIds?: readonly string[];
}

function describeRefreshes(autoScaling: AutoScaling, input: RefreshesInput) {
  const { state } = autoScaling.find(input.AutoScalingGroupName);
  const ids = input.InstanceRefreshIds ?? [];
  const refreshes = state.refreshes
    .filter(({ instanceRefreshId }) => ids.length === 0 || ids.includes(instanceRefreshId))
    .reverse();
  const { items, nextToken } = page(refreshes, input);
  return { InstanceRefreshes: items.map((refresh) => refreshView(state, refresh)), NextToken: nextToken };
}

function describeTags(autoScaling: AutoScaling, input: PageInput) {
  const tags = autoScaling.list().flatMap(({ state }) => groupView(state).Tags);
  const { items, nextToken } = page(tags, input);
  return { Tags: items, NextToken: nextToken };
}

export function describeOperations(autoScaling: AutoScaling): Record<string, Operation> {
  return {
    DescribeAutoScalingGroups: (input: GroupsInput) => describeGroups(autoScaling, input),
    DescribeAutoScalingInstances: (input: PageInput) => describeInstances(autoScaling, input),
    DescribeScalingActivities: (input: ActivitiesInput) => describeActivities(autoScaling, input),
    DescribeLifecycleHooks: (input: HooksInput) => describeHooks(autoScaling, input),
    DescribeInstanceRefreshes: (input: RefreshesInput) => describeRefreshes(autoScaling, input),
    DescribeTags: (input: PageInput) => describeTags(autoScaling, input),
    DescribeTerminationPolicyTypes: () => ({ TerminationPolicyTypes: TERMINATION_POLICIES }),
    DescribePolicies: () => ({ ScalingPolicies: [] }),
    DescribeScheduledActions: () => ({ ScheduledUpdateGroupActions: [] }),
  };
}
