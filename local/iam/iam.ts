import { ACCOUNT_ID } from '../service.ts';

interface Role {
  readonly roleName: string;
  readonly arn: string;
  readonly assumeRolePolicyDocument: unknown;
  /** Inline policies by name, documents as in the template with everything resolved. */
  readonly policies: ReadonlyMap<string, unknown>;
  readonly managedPolicyArns: readonly string[];
}

/** IAM's roles and policies as the template has them; `Authorizer` decides by them. */
export class Iam {
  readonly #roles = new Map<string, Role & { readonly policies: Map<string, unknown> }>();
  readonly #managed = new Map<string, unknown>();
  readonly #profiles = new Map<string, readonly string[]>();

  putRole(role: {
    readonly roleName: string;
    readonly assumeRolePolicyDocument: unknown;
    readonly policies: ReadonlyMap<string, unknown>;
    readonly managedPolicyArns: readonly string[];
  }): Role {
    const arn = `arn:aws:iam::${ACCOUNT_ID}:role/${role.roleName}`;
    const stored = { ...role, arn, policies: new Map(role.policies) };
    this.#roles.set(role.roleName, stored);
    return stored;
  }

  /** `AWS::IAM::Policy`: one inline policy put on several roles. */
  putPolicy(policyName: string, document: unknown, roleNames: readonly string[]): void {
    for (const roleName of roleNames) {
      const role = this.#roles.get(roleName);
      if (role === undefined)
        throw new Error(`policy ${policyName} names role ${roleName}, which does not exist`);
      role.policies.set(policyName, document);
    }
  }

  /** `AWS::IAM::ManagedPolicy`. */
  putManagedPolicy(policyName: string, document: unknown): { readonly arn: string } {
    const arn = `arn:aws:iam::${ACCOUNT_ID}:policy/${policyName}`;
    this.#managed.set(arn, document);
    return { arn };
  }

  deleteRole(roleName: string): void {
    this.#roles.delete(roleName);
  }

  deletePolicy(policyName: string, roleNames: readonly string[]): void {
    for (const roleName of roleNames) this.#roles.get(roleName)?.policies.delete(policyName);
  }

  deleteManagedPolicy(arn: string): void {
    this.#managed.delete(arn);
  }

  deleteInstanceProfile(name: string): void {
    this.#profiles.delete(name);
  }

  instanceProfiles(): readonly string[] {
    return [...this.#profiles.keys()];
  }

  putInstanceProfile(name: string, roleNames: readonly string[]): { readonly arn: string } {
    this.#profiles.set(name, roleNames);
    return { arn: `arn:aws:iam::${ACCOUNT_ID}:instance-profile/${name}` };
  }

  /** By name or ARN. */
  roleOfInstanceProfile(
    profile: string,
  ): { readonly roleName: string; readonly roleArn: string } | undefined {
    const name = profile.slice(profile.lastIndexOf('/') + 1);
    const role = this.#roles.get(this.#profiles.get(name)?.[0] ?? '');
    return role === undefined ? undefined : { roleName: role.roleName, roleArn: role.arn };
  }

  roles(): readonly Role[] {
    return [...this.#roles.values()];
  }

  /** Every policy document in force for a role. */
  documentsOf(roleArn: string): readonly unknown[] {
    const role = this.roles().find(({ arn }) => arn === roleArn);
    if (role === undefined) return [];
    const managed = role.managedPolicyArns.flatMap((arn) => this.#managed.get(arn) ?? []);
    return [...role.policies.values(), ...managed];
  }
}
