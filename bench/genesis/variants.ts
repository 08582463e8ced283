import { type ItemStore, META, type TableWrite } from '../../domain/table-writes.ts';

/** What genesis would be without one of its three guards: each must be seen to fail. */
export const VARIANTS = ['whole', 'withoutLease', 'withoutFencing', 'withoutCondition'] as const;
export type Variant = (typeof VARIANTS)[number];

/** The member table as the variant's writes meet it. */
export function tableOf(variant: Variant, table: ItemStore): ItemStore {
  return {
    get: (key) => table.get(key),
    list: (pk, skPrefix) => table.list(pk, skPrefix),
    async write(write) {
      const isGenesis = write.key.sk === META && sets(write, 'CREATING');
      // Nobody may ever take a genesis over: a right without an end.
      if (variant === 'withoutLease' && isGenesis && (await isCreating(table, write))) return false;
      const isActivation = write.key.sk === META && sets(write, 'ACTIVE');
      const isFree =
        (variant === 'withoutCondition' && isGenesis) || (variant === 'withoutFencing' && isActivation);
      return await table.write(isFree ? unconditional(write) : write);
    },
  };
}

async function isCreating(table: ItemStore, { key }: TableWrite): Promise<boolean> {
  return (await table.get(key))?.['status'] === 'CREATING';
}

/** Whether the write gives META this status. Conditions hold values too, so the assignment itself is looked for. */
function sets(write: TableWrite, status: string): boolean {
  if (write.kind === 'delete') return false;
  const name = Object.keys(write.names).find((placeholder) => write.names[placeholder] === 'status');
  const value = Object.keys(write.values).find((placeholder) => write.values[placeholder] === status);
  const assigned = new RegExp(`${name} = (:\\w+)`).exec(write.updateExpression)?.[1];
  return name !== undefined && value !== undefined && write.values[assigned ?? ''] === status;
}

function unconditional(write: TableWrite): TableWrite {
  return {
    ...write,
    names: { ...write.names, '#never': 'never' },
    conditionExpression: 'attribute_not_exists(#never)',
  };
}
