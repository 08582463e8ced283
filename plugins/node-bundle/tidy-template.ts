/** The resources of a compiled template, as far as this plugin looks at them. */
export type Resources = Record<string, Resource>;
interface Resource {
  DependsOn?: string | readonly string[];
  readonly Properties: Record<string, unknown>;
}

/**
 * The framework lets every function depend on its role and refer to it as well. Twice is once for CloudFormation, but
 * linters warn of it, and whoever takes their warnings for errors refuses the template.
 */
export function dropRedundantDependencies(resources: Resources): void {
  for (const resource of Object.values(resources)) {
    const role = resource.Properties?.['Role'] as { readonly 'Fn::GetAtt'?: readonly string[] } | undefined;
    const referred = role?.['Fn::GetAtt']?.[0];
    if (referred === undefined || resource.DependsOn === undefined) continue;
    resource.DependsOn = [resource.DependsOn].flat().filter((logicalId) => logicalId !== referred);
  }
}
