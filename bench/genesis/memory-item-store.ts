import type { ItemKey, ItemStore, StoredItem, TableWrite } from '../../domain/table-writes.ts';
import { apply, holds } from './expression.ts';

/** The member table in memory: every write at once and whole, as DynamoDB does it. Passes the adapters' contract. */
export class MemoryItemStore implements ItemStore {
  readonly #items = new Map<string, StoredItem>();

  get(key: ItemKey): Promise<StoredItem | undefined> {
    return Promise.resolve(this.#items.get(nameOf(key)));
  }

  list(pk: string, skPrefix: string): Promise<readonly StoredItem[]> {
    const found = [...this.#items.values()].filter(
      (item) => item['pk'] === pk && String(item['sk']).startsWith(skPrefix),
    );
    return Promise.resolve(found.sort((a, b) => (String(a['sk']) < String(b['sk']) ? -1 : 1)));
  }

  write(write: TableWrite): Promise<boolean> {
    const name = nameOf(write.key);
    const present = this.#items.get(name);
    if (!holds(present ?? {}, write.conditionExpression, write)) return Promise.resolve(false);
    if (write.kind === 'delete') this.#items.delete(name);
    else this.#items.set(name, apply(present ?? { ...write.key }, write.updateExpression, write));
    return Promise.resolve(true);
  }
}

function nameOf({ pk, sk }: ItemKey): string {
  return JSON.stringify([pk, sk]);
}
