import { parse } from 'yaml';
import type { CloudFormationTemplate } from './package-service.ts';

/** What CloudFormation would put in; longer than most, so that the size is not flattered. */
const VALUES: Readonly<Record<string, string>> = {
  'AWS::Region': 'ap-northeast-1',
  Bus: 'chordfs-production',
  MemberTable: 'chordfs-production-members',
  NodeLogGroup: '/chordfs/production/node',
  ServerlessDeploymentBucket: 'chordfs-production-serverlessdeploymentbucket-abcdefghijkl',
  VpcCidr: '10.57.0.0/16',
  TimeScale: '1',
  OnConflict: 'replace',
  Theme: 'auto',
};

/** The user data as an instance gets it. @throws Error naming a reference that is not among the values here. */
export function renderUserData(template: CloudFormationTemplate): string {
  const data = template.Resources['NodeLaunchTemplate']?.Properties['LaunchTemplateData'] as {
    readonly UserData: { readonly 'Fn::Base64': { readonly 'Fn::Sub': string } };
  };
  return data.UserData['Fn::Base64']['Fn::Sub'].replace(
    /\$\{(!?)([^}]+)\}/g,
    (_, literal: string, name: string) => {
      if (literal === '!') return `\${${name}}`;
      const value = VALUES[name];
      if (value === undefined) throw new Error(`the user data refers to ${name}, which has no value here`);
      return value;
    },
  );
}

interface WrittenFile {
  readonly path: string;
  readonly content: string;
}

/** The files that cloud-init would write, by path. */
export function filesOf(userData: string): ReadonlyMap<string, string> {
  const { write_files: files } = parse(userData) as { readonly write_files: readonly WrittenFile[] };
  return new Map(files.map(({ path, content }) => [path, content]));
}
