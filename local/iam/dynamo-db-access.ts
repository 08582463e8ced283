import type { ApiCall } from './access.ts';
import type { AccessRequest } from './evaluate.ts';

interface TableNames {
  readonly tableArn: (tableName: string) => string;
  readonly partitionKey: (tableName: string) => string;
}

type Fields = Readonly<Record<string, unknown>>;

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

/** The text of an attribute value, `{ S: 'x' }` or `{ N: '1' }`. */
function attributeText(attribute: unknown): string[] {
  const { S, N, B } = fields(attribute);
  const value = S ?? N ?? B;
  return typeof value === 'string' ? [value] : [];
}

/** The partition key that a query asks for, found in its expression or in its older form. */
function queriedKey(input: Fields, partitionKey: string): string[] {
  const names = fields(input['ExpressionAttributeNames']);
  const expression = String(input['KeyConditionExpression'] ?? '');
  for (const [, name = '', placeholder = ''] of expression.matchAll(/([#\w.-]+)\s*=\s*(:\w+)/g)) {
    if ((names[name] ?? name) !== partitionKey) continue;
    return attributeText(fields(input['ExpressionAttributeValues'])[placeholder]);
  }
  const { AttributeValueList } = fields(fields(input['KeyConditions'])[partitionKey]);
  return Array.isArray(AttributeValueList) ? AttributeValueList.flatMap(attributeText) : [];
}

interface ItemAccess {
  readonly action: string;
  readonly tableName: string;
  /** Partition keys touched; undefined where the call names none, as a scan. */
  readonly leadingKeys: readonly string[] | undefined;
}

/** Batches have actions of their own, over all keys in them. */
function batchAccess({ operation, input }: ApiCall, { partitionKey }: TableNames): ItemAccess[] {
  return Object.entries(fields(input['RequestItems'])).map(([tableName, entry]) => {
    const keys = operation === 'BatchGetItem' ? fields(entry)['Keys'] : entry;
    const items = (Array.isArray(keys) ? keys : []).map((item: unknown) => {
      const { PutRequest, DeleteRequest } = fields(item);
      return fields(PutRequest)['Item'] ?? fields(DeleteRequest)['Key'] ?? item;
    });
    const leadingKeys = items.flatMap((item) => attributeText(fields(item)[partitionKey(tableName)]));
    return { action: `dynamodb:${operation}`, tableName, leadingKeys };
  });
}

/** There is no action for transactions: each part is allowed as what it does. */
function transactionAccess({ input }: ApiCall, { partitionKey }: TableNames): ItemAccess[] {
  const actions = {
    Put: 'PutItem',
    Update: 'UpdateItem',
    Delete: 'DeleteItem',
    ConditionCheck: 'ConditionCheckItem',
    Get: 'GetItem',
  };
  const items = Array.isArray(input['TransactItems']) ? input['TransactItems'] : [];
  return items.flatMap((item: unknown) =>
    Object.entries(fields(item)).map(([kind, part]) => {
      const { TableName, Key, Item } = fields(part);
      const tableName = String(TableName);
      const leadingKeys = attributeText(fields(Key ?? Item)[partitionKey(tableName)]);
      return { action: `dynamodb:${actions[kind as keyof typeof actions] ?? kind}`, tableName, leadingKeys };
    }),
  );
}

function itemAccess(call: ApiCall, names: TableNames): ItemAccess[] {
  const { operation, input } = call;
  if (operation.startsWith('Batch')) return batchAccess(call, names);
  if (operation.startsWith('Transact')) return transactionAccess(call, names);
  const tableName = String(input['TableName'] ?? '');
  const partitionKey = names.partitionKey(tableName);
  const item = input['Key'] ?? input['Item'];
  const leadingKeys =
    operation === 'Query'
      ? queriedKey(input, partitionKey)
      : item === undefined
        ? undefined
        : attributeText(fields(item)[partitionKey]);
  return [{ action: `dynamodb:${operation}`, tableName, leadingKeys }];
}

/** What a call to DynamoDB must be allowed to do. `input` is as on the wire. */
export function dynamoDbAccess(call: ApiCall, names: TableNames): readonly AccessRequest[] {
  return itemAccess(call, names).map(({ action, tableName, leadingKeys }) => ({
    action,
    resource: tableName === '' ? '*' : names.tableArn(tableName),
    context: new Map(leadingKeys === undefined ? [] : [['dynamodb:leadingkeys', [...new Set(leadingKeys)]]]),
  }));
}
