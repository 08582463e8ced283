import { describe, expect, test } from 'vitest';
import { resolveParameters } from '../../local/template/parameters.ts';
import type { ResourceHandlers } from '../../local/template/resource-handler.ts';
import { deployStack } from '../../local/template/stack.ts';
import { parseTemplate } from '../../local/template/template.ts';

/** Records what it creates and deletes; `Ref` is the logical id in brackets. */
function recording(order: string[] = []): ResourceHandlers {
  return {
    Thing: ({ logicalId }) => {
      order.push(`+${logicalId}`);
      return {
        ref: `<${logicalId}>`,
        attributes: { Arn: `arn:${logicalId}`, 'Nested.Name': 'deep' },
        delete: () => void order.push(`-${logicalId}`),
      };
    },
  };
}

async function deploy(template: object, parameters = {}, handlers = recording()) {
  const options = { template: parseTemplate(template), parameters, stackName: 'stack', region: 'us-east-1' };
  return deployStack({ ...options, handlers });
}

/** What one property of the only resource evaluates to. */
async function evaluated(value: unknown, more: object = {}, parameters = {}): Promise<unknown> {
  const Resources = { Other: { Type: 'Thing' }, Subject: { Type: 'Thing', Properties: { value, kept: 1 } } };
  const stack = await deploy({ Resources, ...more }, parameters);
  return stack.resources.find(({ logicalId }) => logicalId === 'Subject')?.properties['value'];
}

/** How Fn::Sub marks a place; written so that no linter takes it for a template string. */
const place = (name: string): string => `$\{${name}}`;

describe('intrinsic functions', () => {
  const Conditions = { Yes: { 'Fn::Equals': ['a', 'a'] }, No: { 'Fn::Not': [{ Condition: 'Yes' }] } };
  test.each<[string, unknown, unknown]>([
    ['Ref of a resource', { Ref: 'Other' }, '<Other>'],
    ['Ref of a pseudo parameter', { Ref: 'AWS::Region' }, 'us-east-1'],
    ['GetAtt', { 'Fn::GetAtt': ['Other', 'Arn'] }, 'arn:Other'],
    ['GetAtt of a dotted attribute', { 'Fn::GetAtt': 'Other.Nested.Name' }, 'deep'],
    [
      'Sub',
      { 'Fn::Sub': ['AWS::StackName', 'Other', 'Other.Arn', '!Literal'].map(place).join('-') },
      `stack-<Other>-arn:Other-${place('Literal')}`,
    ],
    [
      'Sub with variables',
      { 'Fn::Sub': [place('a') + place('Other'), { a: { Ref: 'Other' } }] },
      '<Other><Other>',
    ],
    ['Join', { 'Fn::Join': ['-', ['a', { Ref: 'Other' }]] }, 'a-<Other>'],
    ['Select and Split', { 'Fn::Select': ['1', { 'Fn::Split': [',', 'a,b,c'] }] }, 'b'],
    ['Base64', { 'Fn::Base64': 'hello' }, 'aGVsbG8='],
    ['GetAZs', { 'Fn::Select': [0, { 'Fn::GetAZs': '' }] }, 'us-east-1a'],
    ['Cidr', { 'Fn::Cidr': ['10.0.0.0/16', 2, 8] }, ['10.0.0.0/24', '10.0.1.0/24']],
    ['FindInMap', { 'Fn::FindInMap': ['Map', 'x', 'y'] }, 'found'],
    ['If', { 'Fn::If': ['Yes', 'then', 'else'] }, 'then'],
    ['If the other way', { 'Fn::If': ['No', 'then', 'else'] }, 'else'],
    ['NoValue in an object', { a: 1, b: { 'Fn::If': ['No', 2, { Ref: 'AWS::NoValue' }] } }, { a: 1 }],
    ['NoValue in a list', [1, { Ref: 'AWS::NoValue' }], [1]],
    ['a machine image', '{{resolve:ssm:/aws/service/ami}}', 'ami-00000000000000000'],
    [
      'a policy that has a Condition',
      { Condition: { StringEquals: { a: { Ref: 'Other' } } } },
      { Condition: { StringEquals: { a: '<Other>' } } },
    ],
  ])('%s', async (_, value, expected) => {
    expect(await evaluated(value, { Conditions, Mappings: { Map: { x: { y: 'found' } } } })).toEqual(
      expected,
    );
  });

  test('one that the local cloud does not know stops the deploy and is named', async () => {
    await expect(evaluated({ 'Fn::ImportValue': 'x' })).rejects.toThrow(
      /Subject \(Thing\): .*Fn::ImportValue/,
    );
  });

  test('a reference to nothing stops the deploy and is named', async () => {
    await expect(evaluated({ Ref: 'Nowhere' })).rejects.toThrow(/Ref of Nowhere/);
    await expect(evaluated({ 'Fn::GetAtt': ['Other', 'Colour'] })).rejects.toThrow(
      /Other.Colour: Thing has Arn/,
    );
  });
});

describe('a stack', () => {
  test('creates every resource after those it depends on and deletes in reverse', async () => {
    const order: string[] = [];
    const Resources = {
      Last: { Type: 'Thing', Properties: { a: { 'Fn::Sub': place('Middle') } }, DependsOn: ['First'] },
      Middle: { Type: 'Thing', Properties: { a: { 'Fn::GetAtt': ['First', 'Arn'] } } },
      First: { Type: 'Thing' },
    };

    const stack = await deploy({ Resources }, {}, recording(order));
    await stack.delete();

    expect(order).toEqual(['+First', '+Middle', '+Last', '-Last', '-Middle', '-First']);
  });

  test('leaves out resources whose condition does not hold', async () => {
    const Conditions = { HasMail: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'Mail' }, ''] }] } };
    const template = {
      Parameters: { Mail: { Type: 'String', Default: '' } },
      Conditions,
      Resources: { Budget: { Type: 'Thing', Condition: 'HasMail' } },
      Outputs: { B: { Value: { Ref: 'Budget' }, Condition: 'HasMail' } },
    };

    expect((await deploy(template)).resources).toHaveLength(0);
    expect((await deploy(template, { Mail: 'a@b.c' })).outputs).toEqual({ B: '<Budget>' });
  });

  test('with a circle is refused with the way round', async () => {
    const Resources = {
      A: { Type: 'Thing', Properties: { x: { Ref: 'B' } } },
      B: { Type: 'Thing', DependsOn: 'A' },
    };
    await expect(deploy({ Resources })).rejects.toThrow('A -> B -> A');
  });

  test('with a type that nobody creates is refused before anything exists', async () => {
    const order: string[] = [];
    const Resources = { A: { Type: 'Thing' }, B: { Type: 'AWS::RDS::DBInstance' } };
    await expect(deploy({ Resources }, {}, recording(order))).rejects.toThrow('B (AWS::RDS::DBInstance)');
    expect(order).toEqual([]);
  });
});

describe('parameters', () => {
  const template = parseTemplate({
    Parameters: {
      Size: { Type: 'Number', Default: 2, MinValue: 1, MaxValue: 5 },
      Kind: { Type: 'String', Default: 'a', AllowedValues: ['a', 'b'] },
      Cidr: {
        Type: 'String',
        Default: '10.0.0.0/8',
        AllowedPattern: '[0-9./]+',
        ConstraintDescription: 'a CIDR',
      },
      Zones: { Type: 'CommaDelimitedList', Default: 'x, y' },
      Needed: { Type: 'String' },
    },
    Resources: {},
  });

  test('take their defaults, and lists are split', () => {
    const resolved = resolveParameters(template, { Needed: 'n' });
    expect(resolved).toEqual({ Size: '2', Kind: 'a', Cidr: '10.0.0.0/8', Zones: ['x', 'y'], Needed: 'n' });
  });

  test.each([
    [{}, 'Needed needs a value'],
    [{ Needed: 'n', Size: 0 }, 'parameter Size: "0" is less than 1'],
    [{ Needed: 'n', Size: 6 }, 'greater than 5'],
    [{ Needed: 'n', Size: 'many' }, 'is not a number'],
    [{ Needed: 'n', Kind: 'c' }, 'is not one of a, b'],
    [{ Needed: 'n', Cidr: 'everywhere' }, 'does not match [0-9./]+ (a CIDR)'],
    [{ Needed: 'n', Colour: 'red' }, 'no parameter Colour'],
  ])('%o are refused with what is wrong', (values, message) => {
    expect(() => resolveParameters(template, values)).toThrow(message);
  });
});
