import { expect, test } from 'vitest';
import { type ItemStore, remove, update } from '../../domain/table-writes.ts';
import { newStage, ringKey } from './member-table.ts';

/** What every item store promises, whichever table is behind it. Call it inside a `describe`. */
export function itemStoreContract(open: () => ItemStore): void {
  test('reads back what a write has set, and nothing it left undefined', async () => {
    const store = open();
    const key = ringKey(newStage(), 'A');

    const isWritten = await store.write(
      update(key, { set: { text: 'x', list: [1, 'two', null], map: { a: true }, absent: undefined } }, [
        { attribute: 'pk', is: 'absent' },
      ]),
    );

    expect(isWritten).toBe(true);
    expect(await store.get(key)).toEqual({ ...key, text: 'x', list: [1, 'two', null], map: { a: true } });
  });

  test('answers undefined for an item that is not there', async () => {
    expect(await open().get(ringKey(newStage(), 'nothing'))).toBeUndefined();
  });

  test('refuses a write whose condition fails, and changes nothing', async () => {
    const store = open();
    const key = ringKey(newStage(), 'A');
    await store.write(update(key, { set: { state: 'one' } }, [{ attribute: 'pk', is: 'absent' }]));

    const isWritten = await store.write(
      update(key, { set: { state: 'two' } }, [{ attribute: 'state', is: 'in', values: ['three', 'four'] }]),
    );

    expect(isWritten).toBe(false);
    expect((await store.get(key))?.['state']).toBe('one');
  });

  test('evaluates every kind of condition', async () => {
    const store = open();
    const key = ringKey(newStage(), 'A');
    await store.write(update(key, { set: { n: 5 } }, [{ attribute: 'pk', is: 'absent' }]));
    const holds = (condition: Parameters<typeof update>[2][0]) =>
      store.write(update(key, { set: { touched: true } }, [condition]));

    expect(await holds({ attribute: 'n', is: '=', value: 5 })).toBe(true);
    expect(await holds({ attribute: 'n', is: '<', value: 5 })).toBe(false);
    expect(await holds({ attribute: 'n', is: '<=', value: 5 })).toBe(true);
    expect(await holds({ attribute: 'n', is: '>', value: 4 })).toBe(true);
    expect(await holds({ attribute: 'n', is: '<>', value: 5 })).toBe(false);
    expect(await holds({ attribute: 'other', is: '<>', value: 5 })).toBe(true);
    expect(await holds({ attribute: 'n', is: 'present' })).toBe(true);
    expect(await holds({ attribute: 'other', is: 'present' })).toBe(false);
    expect(
      await holds({
        any: [[{ attribute: 'other', is: 'present' }], [{ attribute: 'n', is: '>=', value: 5 }]],
      }),
    ).toBe(true);
  });

  test('counts, appends, removes and deletes', async () => {
    const store = open();
    const key = ringKey(newStage(), 'A');
    const always = [{ attribute: 'never', is: 'absent' }] as const;

    await store.write(
      update(key, { add: { count: 1 }, append: { list: { id: 'a' } }, set: { x: 1 } }, always),
    );
    await store.write(
      update(key, { add: { count: 2 }, append: { list: { id: 'b' } }, remove: ['x'] }, always),
    );

    expect(await store.get(key)).toEqual({ ...key, count: 3, list: [{ id: 'a' }, { id: 'b' }] });
    expect(await store.write(remove(key, [{ attribute: 'count', is: '=', value: 9 }]))).toBe(false);
    expect(await store.write(remove(key, [{ attribute: 'count', is: '=', value: 3 }]))).toBe(true);
    expect(await store.get(key)).toBeUndefined();
  });

  test('lists a prefix in order, through as many pages as it takes', async () => {
    const store = open();
    const stage = newStage();
    const ballast = 'x'.repeat(100_000);
    for (let index = 0; index < 25; index++) {
      const key = ringKey(stage, `NODE#${String(index).padStart(3, '0')}`);
      await store.write(update(key, { set: { index, ballast } }, [{ attribute: 'pk', is: 'absent' }]));
    }
    await store.write(
      update(ringKey(stage, 'OTHER'), { set: { x: 1 } }, [{ attribute: 'pk', is: 'absent' }]),
    );

    const items = await store.list(ringKey(stage, '').pk, 'NODE#');

    expect(items.map(({ index }) => index)).toEqual(Array.from({ length: 25 }, (_, index) => index));
  });

  test('lets exactly one of twenty concurrent writers through a condition', async () => {
    const store = open();
    const key = ringKey(newStage(), 'A');

    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, writer) =>
        store.write(update(key, { set: { writer } }, [{ attribute: 'writer', is: 'absent' }])),
      ),
    );

    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect((await store.get(key))?.['writer']).toBe(outcomes.indexOf(true));
  });
}
