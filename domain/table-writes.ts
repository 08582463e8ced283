/**
 * Writes on the member table as plain data. Built by pure functions in `domain/`, executed by whoever holds a
 * DynamoDB client (Lambdas and nodes have one adapter each, and never import each other). Every write touches one
 * item and carries its own condition, so each of them is atomic, fenced and safe to repeat.
 */
export type Attribute =
  | string
  | number
  | boolean
  | null
  | readonly Attribute[]
  | { readonly [name: string]: Attribute };

export interface ItemKey {
  readonly pk: string;
  readonly sk: string;
}

/** An item as read; `unknown` because what lies in a table is validated when it is parsed, not when it is fetched. */
export type StoredItem = Readonly<Record<string, unknown>>;

export interface UpdateWrite {
  readonly kind: 'update';
  readonly key: ItemKey;
  readonly updateExpression: string;
  readonly conditionExpression: string;
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, Attribute>>;
}
export interface DeleteWrite {
  readonly kind: 'delete';
  readonly key: ItemKey;
  readonly conditionExpression: string;
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, Attribute>>;
}
export type TableWrite = UpdateWrite | DeleteWrite;

/** The narrow table that the claim, log and registry code needs. Reads are strongly consistent. */
export interface ItemStore {
  get(key: ItemKey): Promise<StoredItem | undefined>;
  /** Every item of the partition whose sort key starts with the prefix, in sort-key order; pages are followed. */
  list(pk: string, skPrefix: string): Promise<readonly StoredItem[]>;
  /** False when the condition does not hold: nothing was written. Throws for every other failure. */
  write(write: TableWrite): Promise<boolean>;
}

export function ringPartition(stage: string): string {
  return `RING#${stage}`;
}
export function logPartition(stage: string): string {
  return `LOG#${stage}`;
}
export const META = 'META';
export const NODE_PREFIX = 'NODE#';
export const POSITION_PREFIX = 'POS#';
export const KEY_PREFIX = 'KEY#';
export const VOTE_PREFIX = 'VOTE#';

export interface Changes {
  readonly set?: Readonly<Record<string, Attribute | undefined>>;
  readonly remove?: readonly string[];
  /** Counters that grow by the given number; absent counts as 0. */
  readonly add?: Readonly<Record<string, number>>;
  /** Appended to the list attribute, which is made when absent. */
  readonly append?: Readonly<Record<string, Attribute>>;
}

/** One comparison; all of a write's conditions must hold. `any` is a disjunction of conjunctions. */
export type Condition =
  | {
      readonly attribute: string;
      readonly is: '=' | '<>' | '<' | '<=' | '>' | '>=';
      readonly value: Attribute;
    }
  | { readonly attribute: string; readonly is: 'in'; readonly values: readonly Attribute[] }
  | { readonly attribute: string; readonly is: 'absent' | 'present' }
  | { readonly any: readonly (readonly Condition[])[] };

/** Hands out placeholders; every attribute name is escaped, so that reserved words need no care. */
class Placeholders {
  readonly names: Record<string, string> = {};
  readonly values: Record<string, Attribute> = {};

  name(attribute: string): string {
    const known = Object.keys(this.names).find((placeholder) => this.names[placeholder] === attribute);
    const placeholder = known ?? `#n${Object.keys(this.names).length}`;
    this.names[placeholder] = attribute;
    return placeholder;
  }

  value(value: Attribute): string {
    const placeholder = `:v${Object.keys(this.values).length}`;
    this.values[placeholder] = value;
    return placeholder;
  }
}

function conditionText(condition: Condition, placeholders: Placeholders): string {
  if ('any' in condition) {
    return `(${condition.any.map((all) => `(${conjunction(all, placeholders)})`).join(' OR ')})`;
  }
  const name = placeholders.name(condition.attribute);
  switch (condition.is) {
    case 'absent':
      return `attribute_not_exists(${name})`;
    case 'present':
      return `attribute_exists(${name})`;
    case 'in':
      return `${name} IN (${condition.values.map((value) => placeholders.value(value)).join(', ')})`;
    default:
      return `${name} ${condition.is} ${placeholders.value(condition.value)}`;
  }
}

function conjunction(conditions: readonly Condition[], placeholders: Placeholders): string {
  return conditions.map((condition) => conditionText(condition, placeholders)).join(' AND ');
}

function assignments(changes: Changes, placeholders: Placeholders): string[] {
  const set = Object.entries(changes.set ?? {}).flatMap(([attribute, value]) =>
    value === undefined ? [] : [`${placeholders.name(attribute)} = ${placeholders.value(value)}`],
  );
  const add = Object.entries(changes.add ?? {}).map(([attribute, by]) => {
    const name = placeholders.name(attribute);
    return `${name} = if_not_exists(${name}, ${placeholders.value(0)}) + ${placeholders.value(by)}`;
  });
  const append = Object.entries(changes.append ?? {}).map(([attribute, value]) => {
    const name = placeholders.name(attribute);
    return `${name} = list_append(if_not_exists(${name}, ${placeholders.value([])}), ${placeholders.value([value])})`;
  });
  return [...set, ...add, ...append];
}

/** An update of one item under conditions; creates the item when the conditions hold for an absent one. */
export function update(
  key: ItemKey,
  changes: Changes,
  conditions: readonly [Condition, ...Condition[]],
): UpdateWrite {
  const placeholders = new Placeholders();
  const sets = assignments(changes, placeholders);
  const removes = (changes.remove ?? []).map((attribute) => placeholders.name(attribute));
  const clauses = [
    ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
    ...(removes.length > 0 ? [`REMOVE ${removes.join(', ')}`] : []),
  ];
  return {
    kind: 'update',
    key,
    updateExpression: clauses.join(' '),
    conditionExpression: conjunction(conditions, placeholders),
    names: placeholders.names,
    values: placeholders.values,
  };
}

export function remove(key: ItemKey, conditions: readonly [Condition, ...Condition[]]): DeleteWrite {
  const placeholders = new Placeholders();
  return {
    kind: 'delete',
    key,
    conditionExpression: conjunction(conditions, placeholders),
    names: placeholders.names,
    values: placeholders.values,
  };
}
