import { NormalizedSchema } from '@smithy/core/schema';
import { STS_SCHEMAS } from '../sts/schemas.ts';

/**
 * What AWS's own clients say about each service: names, versions, and the schemas of every operation.
 *
 * The SDK's clients carry Smithy schemas (list wrapping, wire names, timestamps, error codes), so both directions of
 * the wire are driven by the same tables the real clients use, read the other way round. A service without schemas
 * here speaks JSON, where names on the wire are the API's own.
 */
export interface ServiceModel {
  readonly signingName: string;
  /** `Version` of a query request. */
  readonly version: string | undefined;
  readonly xmlNamespace: string;
  /** Before the dot of `X-Amz-Target`, and the service in rpc-v2-cbor paths. */
  readonly targetPrefix: string | undefined;
  readonly isEc2: boolean;
  /** Errors carry their code of the service's query days in a header as well. */
  readonly isQueryCompatible: boolean;
  /** Loaded at the first request: EC2's alone are 1.3 MB of tables. */
  readonly load: () => Promise<LoadedModel>;
}

/** Reads a client's tables at the first call and keeps the index. */
function once(load: () => Promise<object>): () => Promise<LoadedModel> {
  let index: Promise<LoadedModel> | undefined;
  return () => {
    index ??= load().then(readModel);
    return index;
  };
}

const model = (
  signingName: string,
  facts: Partial<Omit<ServiceModel, 'signingName' | 'load'>> = {},
  load: () => Promise<object> = async () => ({}),
): [string, ServiceModel] => [
  signingName,
  {
    signingName,
    version: undefined,
    xmlNamespace: `http://${signingName}.amazonaws.com/`,
    targetPrefix: undefined,
    isEc2: false,
    isQueryCompatible: false,
    load: once(load),
    ...facts,
  },
];

/** By signing name. A service that is missing here can still be mounted: it speaks JSON without schemas. */
export const MODELS: ReadonlyMap<string, ServiceModel> = new Map([
  model(
    'autoscaling',
    {
      version: '2011-01-01',
      xmlNamespace: 'http://autoscaling.amazonaws.com/doc/2011-01-01/',
    },
    () => import('@aws-sdk/client-auto-scaling'),
  ),
  model(
    'ec2',
    {
      version: '2016-11-15',
      xmlNamespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
      isEc2: true,
    },
    () => import('@aws-sdk/client-ec2'),
  ),
  model(
    'sts',
    {
      version: '2011-06-15',
      xmlNamespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
    },
    async () => STS_SCHEMAS,
  ),
  model(
    'monitoring',
    {
      version: '2010-08-01',
      xmlNamespace: 'http://monitoring.amazonaws.com/doc/2010-08-01/',
      targetPrefix: 'GraniteServiceVersion20100801',
      isQueryCompatible: true,
    },
    () => import('@aws-sdk/client-cloudwatch'),
  ),
  model(
    'cloudformation',
    { version: '2010-05-15', xmlNamespace: 'http://cloudformation.amazonaws.com/doc/2010-05-15/' },
    () => import('@aws-sdk/client-cloudformation'),
  ),
  model('events', { targetPrefix: 'AWSEvents' }, () => import('@aws-sdk/client-eventbridge')),
  model('dynamodb', { targetPrefix: 'DynamoDB_20120810' }),
  model('logs', { targetPrefix: 'Logs_20140328' }),
  model('sqs', { targetPrefix: 'AmazonSQS', isQueryCompatible: true }),
  model('ecr', { targetPrefix: 'AmazonEC2ContainerRegistry_V20150921' }),
  model('ssm', { targetPrefix: 'AmazonSSM' }),
]);

export interface OperationSchema {
  readonly name: string;
  readonly input: NormalizedSchema;
  readonly output: NormalizedSchema;
}

/** The two names of one error: of its shape (JSON's `__type`) and on the query protocol. */
export interface ErrorNames {
  readonly shape: string;
  readonly query: string;
}

export interface LoadedModel {
  operation(name: string): OperationSchema | undefined;
  error(code: string): ErrorNames;
}

/** Kinds of static schema, their first element. */
const OPERATION = 9;
const ERROR = -3;

function readError(schema: readonly unknown[]): ErrorNames {
  const shape = String(schema[2]);
  const traits = schema[3];
  const code =
    typeof traits === 'object' && traits !== null && 'awsQueryError' in traits
      ? traits.awsQueryError
      : undefined;
  return { shape, query: Array.isArray(code) ? String(code[0]) : shape };
}

/** Indexes the schemas among a client module's exports. */
export function readModel(module: object): LoadedModel {
  const operations = new Map<string, readonly unknown[]>();
  const errors = new Map<string, ErrorNames>();
  for (const schema of Object.values(module)) {
    if (!Array.isArray(schema)) continue;
    if (schema[0] === OPERATION) operations.set(String(schema[2]), schema);
    if (schema[0] === ERROR) {
      const names = readError(schema);
      errors.set(names.shape, names);
      errors.set(names.query, names);
    }
  }
  return {
    operation(name) {
      const schema = operations.get(name);
      if (schema === undefined) return undefined;
      return {
        name,
        input: NormalizedSchema.of(schema[4] as never),
        output: NormalizedSchema.of(schema[5] as never),
      };
    },
    error: (code) => errors.get(code) ?? { shape: code, query: code },
  };
}

/** For requests whose service nobody knows: their errors still need a shape. */
export const UNKNOWN_MODEL: ServiceModel = model('', { xmlNamespace: 'http://webservices.amazon.com/' })[1];
