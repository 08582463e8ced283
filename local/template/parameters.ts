import { type ParameterDefinition, type Template, TemplateError } from './template.ts';

export type ParameterValues = Readonly<Record<string, string | number>>;
/** What `Ref` yields: text, or a list for the list types. */
type ResolvedParameters = Readonly<Record<string, string | readonly string[]>>;

/** Stands for whatever AWS's public parameter store would say: the local cloud boots no machine image. */
const STUB_PARAMETER = 'ami-00000000000000000';

function isList(type: string): boolean {
  return (
    type === 'CommaDelimitedList' ||
    type.startsWith('List<') ||
    type.startsWith('AWS::SSM::Parameter::Value<List')
  );
}

function complaintAboutNumber(text: string, definition: ParameterDefinition): string | undefined {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return 'is not a number';
  if (definition.MinValue !== undefined && value < definition.MinValue) {
    return `is less than ${definition.MinValue}`;
  }
  if (definition.MaxValue !== undefined && value > definition.MaxValue) {
    return `is greater than ${definition.MaxValue}`;
  }
  return undefined;
}

function complaint(text: string, definition: ParameterDefinition): string | undefined {
  const { AllowedPattern: pattern, AllowedValues: allowed, MinLength: min, MaxLength: max } = definition;
  if (definition.Type === 'Number') {
    const numeric = complaintAboutNumber(text, definition);
    if (numeric !== undefined) return numeric;
  }
  if (allowed !== undefined && !allowed.some((value) => String(value) === text)) {
    return `is not one of ${allowed.join(', ')}`;
  }
  if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`).test(text)) return `does not match ${pattern}`;
  if (min !== undefined && text.length < min) return `is shorter than ${min} characters`;
  if (max !== undefined && text.length > max) return `is longer than ${max} characters`;
  return undefined;
}

function resolveOne(name: string, definition: ParameterDefinition, given: string | number | undefined) {
  const value = given ?? definition.Default;
  if (value === undefined) throw new TemplateError(`parameter ${name} needs a value: it has no default`);
  const text = String(value);
  if (definition.Type.startsWith('AWS::SSM::Parameter::Value<')) {
    return isList(definition.Type) ? [STUB_PARAMETER] : STUB_PARAMETER;
  }
  const items = isList(definition.Type) ? text.split(',').map((item) => item.trim()) : [text];
  const itemDefinition = definition.Type === 'List<Number>' ? { ...definition, Type: 'Number' } : definition;
  for (const item of items) {
    const wrong = complaint(item, itemDefinition);
    if (wrong === undefined) continue;
    const hint = definition.ConstraintDescription;
    throw new TemplateError(`parameter ${name}: "${item}" ${wrong}${hint ? ` (${hint})` : ''}`);
  }
  return isList(definition.Type) ? items : text;
}

/**
 * The value of every parameter, checked against its type and constraints as CloudFormation does.
 * @throws TemplateError naming the parameter.
 */
export function resolveParameters(template: Template, values: ParameterValues): ResolvedParameters {
  for (const name of Object.keys(values)) {
    if (template.Parameters[name] === undefined) {
      throw new TemplateError(`the template has no parameter ${name}`);
    }
  }
  const resolved: Record<string, string | readonly string[]> = {};
  for (const [name, definition] of Object.entries(template.Parameters)) {
    resolved[name] = resolveOne(name, definition, values[name]);
  }
  return resolved;
}
