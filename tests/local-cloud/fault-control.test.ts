import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAULT_REQUESTS } from '../../local/control/fault-requests.ts';
import { PROJECT, startTestCloud, type TestCloud } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';

let testCloud: TestCloud;
let instanceId: string;

beforeAll(async () => {
  testCloud = await startTestCloud({ desired: 1, min: 0 });
  const [node] = await testCloud.cloud.nodes();
  instanceId = node?.instanceId ?? '';
});
afterAll(() => testCloud?.cloud.stop());

interface Answer {
  readonly status: number;
  readonly body: { readonly [name: string]: unknown };
}

async function ask(method: string, path = '', body?: object): Promise<Answer> {
  const response = await fetch(`${testCloud.cloud.endpoint}/_chordfs/local/faults${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** One request of every kind, as a person would send it. */
const EXAMPLES = (): Record<keyof typeof FAULT_REQUESTS, object> => ({
  'drop-events': { detailType: 'EC2 Instance-launch Lifecycle Action', count: 1 },
  'duplicate-events': { copies: 3, count: 1 },
  'delay-events': { rule: 'LaunchRule', delayMs: 100 },
  'hold-events': { detailType: 'Nothing' },
  throttle: { service: 'dynamodb', operation: 'Nothing', count: 1 },
  'cut-calls': { service: 'nothing' },
  'lose-answers': { service: 'nothing', count: 1 },
  'delay-calls': { service: 'nothing', delayMs: 10 },
  'kill-caller-after': { service: 'nothing', operation: 'UpdateItem', caller: instanceId, skip: 1 },
  outage: { service: 'events' },
  'crash-function': { function: 'nothing' },
  'throttle-function': { function: 'nothing', count: 2 },
  freeze: { instanceId },
  'silence-metadata': { instanceId },
  partition: { instanceIds: [instanceId] },
  'cut-from-cloud': { instanceId },
  'skew-clock': { instanceId, skewMs: 30_000 },
  'enforce-security-group': {},
  'delay-lifecycle-completion': { cloudMs: 20_000 },
  'fail-launches': { count: 1, message: 'There is no capacity.' },
  'fail-boots': { count: 1, how: 'hang' },
  'withhold-public-ip': { count: 1 },
  'delay-describe': { instanceMs: 5_000, publicIpMs: 5_000 },
  'recommend-rebalance': { instanceId },
  'interrupt-spot': { instanceId },
  kill: { instanceId },
});

/** What cannot be taken back. */
const FOR_GOOD = ['kill', 'interrupt-spot', 'recommend-rebalance'];

describe('faults over HTTP', () => {
  test('every kind that can be taken back is put in force, listed and lifted', async () => {
    for (const [kind, body] of Object.entries(EXAMPLES())) {
      if (FOR_GOOD.includes(kind)) continue;
      const made = await ask('POST', '', { kind, ...body });
      expect(made, kind).toMatchObject({ status: 201, body: { kind, ...body, isInForce: true } });
      const lifted = await ask('DELETE', `/${made.body['id']}?order=reversed`);
      expect(lifted, kind).toMatchObject({ status: 200, body: { isInForce: false } });
    }
    const { body } = await ask('GET');
    expect(body).toHaveLength(Object.keys(FAULT_REQUESTS).length - FOR_GOOD.length);
  });

  test('what is wrong with a request is said, and nothing is put in force', async () => {
    const before = (await ask('GET')).body['length'];

    expect(await ask('POST', '', { kind: 'rain' })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('drop-events') },
    });
    expect((await ask('POST', '', { kind: 'freeze' })).body['error']).toMatch(/instanceId/);
    expect((await ask('POST', '', { kind: 'freeze', instanceId: 'i-0' })).body['error']).toMatch(
      /i-0 is not running/,
    );
    expect((await ask('POST', '', { kind: 'outage', service: 'events', typo: 1 })).status).toBe(400);
    expect((await ask('DELETE', '/999')).status).toBe(404);
    expect((await ask('GET')).body['length']).toBe(before);
  });

  test('a page in a browser, which cannot say that it sends JSON, is refused', async () => {
    const response = await fetch(`${testCloud.cloud.endpoint}/_chordfs/local/faults`, {
      method: 'POST',
      body: '{"kind":"enforce-security-group"}',
    });

    expect(response.status).toBe(415);
  });

  test('a machine that is killed over HTTP is gone and replaced', async () => {
    expect((await ask('POST', '', { kind: 'kill', instanceId })).status).toBe(201);

    await until(
      'another instance in its place',
      async () => {
        const [node] = await testCloud.cloud.nodes();
        return node !== undefined && node.instanceId !== instanceId;
      },
      120_000,
    );
  });
});

test('the documentation has every kind of fault, and no other', async () => {
  const text = await readFile(join(PROJECT, 'docs/local-cloud.md'), 'utf8');
  const named = [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, kind]) => kind);

  expect(named.sort()).toEqual(Object.keys(FAULT_REQUESTS).sort());
});
