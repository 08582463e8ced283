import { describe, expect, test } from 'vitest';
import type { StackDefinition } from '../../local/cloud-formation/stack-record.ts';
import { Stacks } from '../../local/cloud-formation/stacks.ts';
import type { ResourceHandlers } from '../../local/template/resource-handler.ts';
import { parseTemplate } from '../../local/template/template.ts';

/** Things that exist: what each was last made with. A thing that is made with `{ broken: true }` fails. */
function world(): { things: Map<string, unknown>; handlers: ResourceHandlers } {
  const things = new Map<string, unknown>();
  const handlers: ResourceHandlers = {
    'AWS::SQS::Queue'({ logicalId, properties }) {
      if (properties['broken'] === true) throw new Error('it is broken');
      const name = String(properties['QueueName'] ?? logicalId);
      things.set(name, properties['value']);
      return { ref: name, attributes: { Arn: `arn:${name}` }, delete: () => void things.delete(name) };
    },
  };
  return { things, handlers };
}

function stacksOf(handlers: ResourceHandlers, ownParameters = {}): Stacks {
  const noop = (): void => undefined;
  return new Stacks({
    region: 'us-east-1',
    handlers,
    ownParameters,
    now: Date.now,
    log: noop,
    changed: noop,
  });
}

function definition(queues: Record<string, object>, parameters = {}, declared = {}): StackDefinition {
  const Resources = Object.fromEntries(
    Object.entries(queues).map(([id, Properties]) => [id, { Type: 'AWS::SQS::Queue', Properties }]),
  );
  const body = { Resources, Parameters: declared };
  return { templateBody: JSON.stringify(body), template: parseTemplate(body), parameters, tags: {} };
}

const statuses = (stacks: Stacks, name: string): string[] =>
  stacks
    .find(name)
    .events.filter(({ logicalId }) => logicalId === name)
    .map(({ status }) => status);

describe('a stack', () => {
  test('changes only what changed and deletes what the template no longer has', async () => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    await stacks.settled(
      stacks.create('a', definition({ Kept: { value: 1 }, Gone: {}, Changed: { value: 1 } })),
    );
    things.set('Kept', 'touched by nobody');

    await stacks.settled(stacks.update('a', definition({ Kept: { value: 1 }, Changed: { value: 2 } })));

    expect(Object.fromEntries(things)).toEqual({ Kept: 'touched by nobody', Changed: 2 });
    expect(stacks.find('a').events.filter(({ logicalId }) => logicalId === 'Kept')).toHaveLength(2);
  });

  test('that is deployed as it is has no updates to be performed', async () => {
    const { handlers } = world();
    const stacks = stacksOf(handlers);
    const declared = { Size: { Type: 'Number' } };
    await stacks.settled(stacks.create('a', definition({ Q: {} }, { Size: 1 }, declared)));

    expect(() => stacks.update('a', definition({ Q: {} }, { Size: '1' }, declared))).toThrow(
      'No updates are to be performed.',
    );
    await stacks.settled(stacks.update('a', definition({ Q: {} }, { Size: 2 }, declared)));
  });

  test('whose update fails is again what it was, renamed and new resources included', async () => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    const before = definition({ A: { QueueName: 'one', value: 1 }, Z: { value: 1 } });
    await stacks.settled(stacks.create('a', before));

    const broken = definition({
      A: { QueueName: 'two', value: 2 },
      New: {},
      Z: { value: 1, broken: true },
    });
    await expect(stacks.settled(stacks.update('a', broken))).rejects.toThrow(
      'Z (AWS::SQS::Queue): it is broken',
    );

    expect(Object.fromEntries(things)).toEqual({ one: 1, Z: 1 });
    expect(statuses(stacks, 'a').slice(-2)).toEqual([
      'UPDATE_ROLLBACK_IN_PROGRESS',
      'UPDATE_ROLLBACK_COMPLETE',
    ]);
  });

  test.each([
    ['DELETE', 'DELETE_COMPLETE', []],
    ['ROLLBACK', 'ROLLBACK_COMPLETE', []],
    ['DO_NOTHING', 'CREATE_FAILED', ['A']],
  ] as const)('that cannot be created ends as OnFailure %s says', async (onFailure, status, left) => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    const stack = stacks.create('a', definition({ A: {}, B: { broken: true } }), onFailure);

    await expect(stacks.settled(stack)).rejects.toThrow('it is broken');

    expect([...things.keys()]).toEqual(left);
    expect(stack.status).toBe(status);
  });

  test('that failed to be created can be deleted, and created anew', async () => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    const failed = stacks.create('a', definition({ A: {}, B: { broken: true } }), 'DO_NOTHING');
    await expect(stacks.settled(failed)).rejects.toThrow();

    await stacks.delete('a');
    await stacks.settled(stacks.create('a', definition({ A: {} })));

    expect(failed.status).toBe('DELETE_COMPLETE');
    expect([...things.keys()]).toEqual(['A']);
  });

  test('cannot name what another stack has, and leaves it alone', async () => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    await stacks.settled(stacks.create('first', definition({ Q: { QueueName: 'shared', value: 1 } })));

    const second = stacks.create('second', definition({ Q: { QueueName: 'shared', value: 2 } }), 'DELETE');
    await expect(stacks.settled(second)).rejects.toThrow('shared already exists in stack first');

    expect(Object.fromEntries(things)).toEqual({ shared: 1 });
  });

  test('takes no values for parameters that its template does not have', () => {
    const stacks = stacksOf(world().handlers);
    expect(() => stacks.create('a', definition({ Q: {} }, { Size: 1 }))).toThrow(
      'Parameter values specified for a template which does not require them.',
    );
    const declared = { Other: { Type: 'String', Default: '' } };
    expect(() => stacks.create('a', definition({ Q: {} }, { Size: 1 }, declared))).toThrow(
      'Parameters: [Size] do not exist in the template',
    );
  });

  test('runs at the speed of the cloud it is deployed into, whatever it asks for', async () => {
    const stacks = stacksOf(world().handlers, { TimeScale: 20, Elsewhere: 1 });
    const declared = { TimeScale: { Type: 'Number', Default: 1 } };
    const stack = stacks.create('a', definition({ Q: {} }, { TimeScale: 1 }, declared));
    await stacks.settled(stack);
    expect(stack.definition.parameters).toEqual({ TimeScale: 20 });
  });

  test('is not deleted while it is protected, or while it is updated', async () => {
    const { handlers } = world();
    const stacks = stacksOf(handlers);
    await stacks.settled(stacks.create('one', definition({ A: { value: 1 } })));

    stacks.protect('one', true);
    expect(() => stacks.assertDeletable('one')).toThrow(
      'Stack [one] cannot be deleted while TerminationProtection is enabled',
    );
    stacks.protect('one', false);
    expect(() => stacks.assertDeletable('one')).not.toThrow();
    const stack = stacks.update('one', definition({ A: { value: 2 } }));
    expect(() => stacks.assertDeletable('one')).toThrow(
      'Stack [one] cannot be deleted while in status UPDATE_IN_PROGRESS',
    );
    await stacks.settled(stack);
  });

  test('that is deleted while it is created ends deleted', async () => {
    const { things, handlers } = world();
    const stacks = stacksOf(handlers);
    const stack = stacks.create('a', definition({ A: {}, B: {} }));

    await stacks.delete('a');

    expect(things.size).toBe(0);
    expect(stack.status).toBe('DELETE_COMPLETE');
    expect(() => stacks.find('a')).toThrow('Stack with id a does not exist');
    expect(stacks.find(stack.id).status).toBe('DELETE_COMPLETE');
  });
});
