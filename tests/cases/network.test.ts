import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { call, download, upload } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, PATIENCE_MS } from './case-cloud.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

let given: CaseCloud;

describe('given a security group that drops what peers send to public addresses, and a node without one', () => {
  beforeAll(async () => {
    given = await CaseCloud.start({ desired: 0 });
    given.machines.enforceSecurityGroup(true);
    given.machines.withholdPublicIp(1);
    await given.scaleTo(3);
    await given.untilTableIsRight();
  });
  afterAll(() => given?.stop());

  const reachable = async () => (await given.cloud.nodes()).filter(({ publicIp }) => publicIp !== '');

  test('case 57: the ring forms, because peers dial private addresses; clients are given public ones', async () => {
    const nodes = await reachable();
    expect(nodes).toHaveLength(2);
    for (const [i, { publicIp }] of nodes.entries())
      expect(await upload(publicIp, `file ${i}`, Buffer.from(`content ${i}`))).toBe(204);

    for (const { publicIp } of nodes)
      for (const i of nodes.keys())
        expect((await download(publicIp, `file ${i}`)).body.toString()).toBe(`content ${i}`);
    const owners = await Promise.all(
      Array.from({ length: 16 }, (_, i) => call(nodes[0]?.publicIp ?? '', 'find_successor', i * 2 ** 28)),
    );
    const named = new Set(owners.map((owner) => (owner as [string, number, number])[0]));
    for (const { publicIp } of nodes) expect(named).toContain(publicIp);
  });

  test('case 58: a node without a public address is a member like the others, for its peers', async () => {
    const hidden = (await given.cloud.nodes()).find(({ publicIp }) => publicIp === '');
    expect(hidden?.instanceId).toBeDefined();
    const row = await given.member(hidden?.instanceId ?? '');
    expect(row).toMatchObject({ state: 'ACTIVE', publicIp: hidden?.privateIp });

    // Three members keep three copies: it has one of each.
    await until(
      'it serves what was uploaded through the others',
      async () => {
        const { status, body } = await download(hidden?.privateIp ?? '', 'file 0');
        return status === 200 && body.toString() === 'content 0';
      },
      PATIENCE_MS,
    );
  });
});
