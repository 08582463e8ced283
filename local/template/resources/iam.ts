import { z } from 'zod';
import type { Iam } from '../../iam/iam.ts';
import { generatedName, physicalIdOf, type ResourceHandlers } from '../resource-handler.ts';
import { document, read } from './properties.ts';

const policySchema = z.object({ PolicyName: z.string(), PolicyDocument: document });
const roleSchema = z.object({
  RoleName: z.string().optional(),
  AssumeRolePolicyDocument: document,
  Policies: z.array(policySchema).default([]),
  ManagedPolicyArns: z.array(z.string()).default([]),
});
const rolePolicySchema = policySchema.extend({ Roles: z.array(z.string()).default([]) });
const oneRolePolicySchema = policySchema.extend({ RoleName: z.string() });
const managedPolicySchema = z.object({ ManagedPolicyName: z.string().optional(), PolicyDocument: document });
const profileSchema = z.object({ InstanceProfileName: z.string().optional(), Roles: z.array(z.string()) });

export function iamResources(iam: Iam): ResourceHandlers {
  return {
    'AWS::IAM::Role'(request) {
      const properties = read(roleSchema, request.properties);
      const { arn, roleName } = iam.putRole({
        roleName: properties.RoleName ?? generatedName(request),
        assumeRolePolicyDocument: properties.AssumeRolePolicyDocument,
        policies: new Map(properties.Policies.map((policy) => [policy.PolicyName, policy.PolicyDocument])),
        managedPolicyArns: properties.ManagedPolicyArns,
      });
      const RoleId = `AROA${physicalIdOf(request).toUpperCase()}`;
      return { ref: roleName, attributes: { Arn: arn, RoleId }, delete: () => iam.deleteRole(roleName) };
    },
    'AWS::IAM::Policy'(request) {
      const { PolicyName, PolicyDocument, Roles } = read(rolePolicySchema, request.properties);
      iam.putPolicy(PolicyName, PolicyDocument, Roles);
      return { ref: PolicyName, delete: () => iam.deletePolicy(PolicyName, Roles) };
    },
    'AWS::IAM::RolePolicy'(request) {
      const { PolicyName, PolicyDocument, RoleName } = read(oneRolePolicySchema, request.properties);
      iam.putPolicy(PolicyName, PolicyDocument, [RoleName]);
      return { ref: PolicyName, delete: () => iam.deletePolicy(PolicyName, [RoleName]) };
    },
    'AWS::IAM::ManagedPolicy'(request) {
      const { ManagedPolicyName, PolicyDocument } = read(managedPolicySchema, request.properties);
      const { arn } = iam.putManagedPolicy(ManagedPolicyName ?? generatedName(request), PolicyDocument);
      return { ref: arn, attributes: { PolicyArn: arn }, delete: () => iam.deleteManagedPolicy(arn) };
    },
    'AWS::IAM::InstanceProfile'(request) {
      const { InstanceProfileName, Roles } = read(profileSchema, request.properties);
      const name = InstanceProfileName ?? generatedName(request);
      const { arn } = iam.putInstanceProfile(name, Roles);
      return { ref: name, attributes: { Arn: arn }, delete: () => iam.deleteInstanceProfile(name) };
    },
  };
}
