import { type Template, TemplateError } from './template.ts';

function collect(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (key === 'Ref' && typeof item === 'string') found.add(item);
    else if (key === 'Fn::GetAtt')
      found.add(typeof item === 'string' ? (item.split('.')[0] ?? '') : String(item?.[0]));
    else if (key === 'Fn::Sub') collectSubstitutions(item, found);
    else collect(item, found);
  }
}

function collectSubstitutions(argument: unknown, found: Set<string>): void {
  const [text, variables] = Array.isArray(argument) ? argument : [argument, undefined];
  for (const match of String(text).matchAll(/\$\{([^!}][^}]*)\}/g))
    found.add(match[1]?.split('.')[0]?.trim() ?? '');
  collect(variables, found);
}

/**
 * Logical ids in an order in which every resource comes after those it depends on or refers to; ties in the order
 * of the template, so that every deploy goes the same way.
 * @throws TemplateError on a circle or a `DependsOn` of something that does not exist.
 */
export function orderResources(template: Template, included: (logicalId: string) => boolean): string[] {
  const ordered: string[] = [];
  const state = new Map<string, 'visiting' | 'done'>();
  const visit = (logicalId: string, path: readonly string[]): void => {
    if (state.get(logicalId) === 'done') return;
    if (state.get(logicalId) === 'visiting') {
      throw new TemplateError(`circular dependency: ${[...path, logicalId].join(' -> ')}`);
    }
    state.set(logicalId, 'visiting');
    for (const dependency of dependenciesOf(template, logicalId)) {
      if (included(dependency)) visit(dependency, [...path, logicalId]);
    }
    state.set(logicalId, 'done');
    ordered.push(logicalId);
  };
  for (const logicalId of Object.keys(template.Resources)) if (included(logicalId)) visit(logicalId, []);
  return ordered;
}

function dependenciesOf(template: Template, logicalId: string): Set<string> {
  const resource = template.Resources[logicalId];
  const found = new Set<string>();
  if (resource === undefined) return found;
  collect(resource.Properties, found);
  for (const name of [resource.DependsOn ?? []].flat()) {
    if (template.Resources[name] === undefined) {
      throw new TemplateError(`${logicalId} depends on ${name}, which the template does not have`);
    }
    found.add(name);
  }
  for (const name of found) if (template.Resources[name] === undefined) found.delete(name);
  return found;
}
