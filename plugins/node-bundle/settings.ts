/** The parameters of a compiled template, whose defaults are the settings of this deploy. */
export type Parameters = Readonly<Record<string, { readonly Default?: unknown }>>;

export const setting = (parameters: Parameters, name: string): string =>
  String(parameters[name]?.Default ?? '');

const ARCHITECTURES = ['arm64', 'x86_64'];

/**
 * What the template's own constraints cannot say, because it concerns two settings at once. Said before anything is
 * deployed: a stack that fails half-way costs minutes.
 * @throws Error naming the settings.
 */
export function checkSettings(parameters: Parameters, architecture: string): void {
  const text = (name: string): string => setting(parameters, name);
  const number = (name: string): number => Number(text(name));
  const complaints = [
    !ARCHITECTURES.includes(architecture) && `architecture is one of ${ARCHITECTURES.join(', ')}`,
    text('VpcId') !== '' && text('SubnetIds') === '' && 'vpcId needs subnetIds, the subnets of that VPC',
    text('VpcId') === '' && text('SubnetIds') !== '' && 'subnetIds needs vpcId, the VPC they are in',
    text('SshCidr') !== '' && text('KeyName') === '' && 'sshCidr needs keyName, an existing key pair',
    number('MinSize') > number('DesiredCapacity') && 'minSize is more than desiredCapacity',
    number('DesiredCapacity') > number('MaxSize') && 'desiredCapacity is more than maxSize',
  ].filter((complaint) => complaint !== false);
  if (complaints.length > 0) throw new Error(`Settings: ${complaints.join('; ')}`);
}
