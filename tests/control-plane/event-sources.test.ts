import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchEvent } from '../../functions/events.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { lifecycle } from './aws-events.ts';
import { startTable, type TestTable } from './member-table.ts';
import { SimulatedNode } from './simulated-node.ts';
import { TestPlane } from './test-plane.ts';

const never = new AbortController().signal;

let table: TestTable;
let plane: TestPlane;
const nodes: SimulatedNode[] = [];
beforeAll(async () => {
  table = await startTable();
});
beforeEach(() => {
  plane = new TestPlane(table);
  plane.nowMs = Date.now();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
afterAll(() => table.stop());

async function hasOutbox(instanceId: string): Promise<boolean | undefined> {
  return (await plane.member(instanceId))?.outbox;
}

function inGroup(instanceId: string, lifecycleState: string): void {
  const others = plane.group.view.instances.filter((instance) => instance.instanceId !== instanceId);
  plane.group.view.instances = [...others, { instanceId, lifecycleState }];
}

/** A member of the ring, which it creates if it is the first. */
async function joined(instanceId: string): Promise<SimulatedNode> {
  const node = await SimulatedNode.start(instanceId, { table, stage: plane.stage });
  nodes.push(node);
  await node.join();
  inGroup(instanceId, 'InService');
  return node;
}

const reconcileOnce = () => reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

describe('given a control plane that died before it told of its decision', () => {
  test('a node neither tells it nor keeps the reconciler from telling it, and its own events come after it', async () => {
    await joined('i-1');
    inGroup('i-2', 'Pending:Wait');
    plane.bus.isAway = true;
    // So long ago that whoever sends it next may take its sending over.
    plane.nowMs -= 30_000;
    await onLaunch(plane.dependencies())(launchEvent.parse(lifecycle('launch', 'i-2')));
    const assigned = await hasOutbox('i-2');
    const node = await joined('i-2');
    const toldByNode = node.bus.events.map(({ source }) => source);
    plane.bus.isAway = false;
    plane.nowMs = Date.now();

    await reconcileOnce();

    expect(assigned).toBe(true);
    expect(toldByNode).toEqual([]);
    expect(plane.bus.events.map(({ source, detailType }) => `${source}: ${detailType}`)).toEqual([
      'chordfs.control: Member Assigned',
      'chordfs.node: Member Joined',
    ]);
    expect(await hasOutbox('i-2')).toBe(false);
  });
});

describe('given a node that was gone before it could tell that it left', () => {
  test('the reconciler tells it for the node', async () => {
    await joined('i-1');
    const node = await joined('i-2');
    node.bus.isAway = true;
    await node.membership.leave({ reason: 'scale-in', isDrained: true, signal: never });

    plane.nowMs += 60_000;
    await reconcileOnce();

    expect(plane.bus.types()).toContain('Member Left');
  });
});
