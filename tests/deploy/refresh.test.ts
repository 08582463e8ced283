import { afterEach, describe, expect, test } from 'vitest';
import type { DeployedGroup } from '../../plugins/node-bundle/node-group.ts';
import { type ActiveRefresh, bringNodesTo, planRefresh } from '../../plugins/node-bundle/refresh.ts';
import { EmulatedGroup, GROUP } from './emulated-group.ts';

describe('what becomes of the nodes follows from the version that was deployed', () => {
  /** Nodes in service, by what they run; the group launches `configured`. */
  function group(configured: string, ...running: string[]): DeployedGroup {
    const instances = running.map((launchTemplateVersion, i) => ({
      instanceId: `i-${i}`,
      lifecycleState: 'InService',
      isProtected: false,
      launchTemplateVersion,
    }));
    return { desiredCapacity: 2, launchTemplateId: 'lt-1', launchTemplateVersion: configured, instances };
  }
  const bringing = (launchTemplateVersion: string | undefined, status = 'InProgress'): ActiveRefresh => ({
    status,
    launchTemplateVersion,
  });
  const leave = (because: string) => ({ kind: 'leave', because });

  test.each([
    ['all run it', group('2', '2', '2'), undefined, { kind: 'nothing' }],
    ['none runs it', group('2', '1', '1'), undefined, { kind: 'replace', rollbackTo: '1' }],
    ['a refresh was cancelled early', group('1', '1', '1'), undefined, { kind: 'replace', rollbackTo: '1' }],
    ['a refresh was cancelled late', group('1', '1', '2'), undefined, { kind: 'replace', rollbackTo: '1' }],
    ['a refresh was cancelled at its end', group('1', '2', '2'), undefined, { kind: 'configure' }],
    ['there are no nodes', group('1'), undefined, { kind: 'configure' }],
    ['a refresh brings it', group('1', '1', '2'), bringing('2'), leave('running already')],
    ['a refresh to it waits', group('1', '1'), bringing('2', 'Pending'), leave('running already')],
    ['it did not start', group('1', '1'), bringing('2', 'RollbackInProgress'), leave('being rolled back')],
    ['a refresh to it is stopping', group('1', '1'), bringing('2', 'Cancelling'), { kind: 'stop' }],
    ['a refresh brings another', group('1', '1'), bringing('3'), { kind: 'stop' }],
    ['another is being rolled back', group('1', '1'), bringing('3', 'RollbackInProgress'), { kind: 'stop' }],
    ['a person replaces nodes by it', group('2', '1'), bringing(undefined), leave('running already')],
  ])('%s', (_, deployed, active, plan) => {
    expect(planRefresh(deployed, '2', active)).toEqual(plan);
  });

  test('the newest version that serves is what a third would be rolled back to', () => {
    const deployed = group('3', '1', '2', '1');

    expect(planRefresh(deployed, '3', undefined)).toEqual({ kind: 'replace', rollbackTo: '2' });
  });

  test('a node that is leaving or that Auto Scaling says nothing of is nothing to replace', () => {
    const [gone, silent] = group('2', '1', '1').instances;
    if (gone === undefined || silent === undefined) throw new Error('there are two');
    const instances = [
      { ...gone, lifecycleState: 'Terminating:Wait' },
      { ...silent, launchTemplateVersion: undefined },
    ];

    expect(planRefresh({ ...group('2'), instances }, '2', undefined)).toEqual({ kind: 'nothing' });
  });
});

describe('on a group', () => {
  let group: EmulatedGroup;
  afterEach(() => group.close());
  const deploy = (version: string) => bringNodesTo(group.client, GROUP, version);
  /** The first node is replaced, and the successor of the second one boots. */
  const replaceOne = () => {
    while (group.running.filter((version) => version === '2').length < 2) group.step();
  };

  test('a new version is brought, and what nodes run is kept until then for a rollback', async () => {
    group = await EmulatedGroup.of(2);
    await group.give('2');

    expect(await deploy('2')).toBe('started');

    expect(group.version).toBe('1');
    while (group.step());
    expect([group.version, ...group.running]).toEqual(['2', '2', '2']);
    expect(await deploy('2')).toBeUndefined();
  });

  test('deployed again while it runs, it goes on and the group is left alone', async () => {
    group = await EmulatedGroup.of(2);
    await group.give('2');
    await deploy('2');
    group.step();

    expect(await deploy('2')).toBe('running already');

    expect(group.refreshes).toHaveLength(1);
    while (group.step());
    expect([group.version, ...group.running]).toEqual(['2', '2', '2']);
  });

  test.each([
    ['before it has replaced any', () => undefined],
    ['when it has replaced one', replaceOne],
  ])('cancelled for another deploy %s, the next goes on to the same version, not back', async (_, pass) => {
    group = await EmulatedGroup.of(3);
    await group.give('2');
    await deploy('2');
    pass();
    await group.cancel();
    while (group.step());
    expect([group.version, group.running]).toEqual(['1', expect.arrayContaining(['1'])]);

    expect(await deploy('2')).toBe('started');

    while (group.step());
    expect(group.refreshes.map(({ status }) => status)).toEqual(['Cancelled', 'Successful']);
    expect([group.version, ...group.running]).toEqual(['2', '2', '2', '2']);
  });

  test('cancelled when only the last old one was still to go, the group gets the version at once', async () => {
    group = await EmulatedGroup.of(1);
    await group.give('2');
    await deploy('2');
    group.step();
    await group.cancel();
    while (group.step());
    expect([group.version, ...group.running]).toEqual(['1', '2']);

    expect(await deploy('2')).toBe('no node to replace');

    expect(group.version).toBe('2');
  });

  test('a refresh to another version is stopped first', async () => {
    group = await EmulatedGroup.of(1);
    await group.give('2');
    group.isFull = true;
    await deploy('2');
    group.isFull = false;

    expect(await deploy('3')).toBe('started');

    expect(group.refreshes.map(({ status }) => status)).toEqual(['Cancelled', 'InProgress']);
    expect(group.refreshes[1]?.desiredTemplate?.Version).toBe('3');
  });
});
