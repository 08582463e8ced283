import type { LaunchTemplateData } from './launch-templates.ts';

/** The states of `DescribeInstances` with their codes. */
export const STATE_CODES = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
} as const;
export type MachineState = keyof typeof STATE_CODES;

/** One EC2 instance as plain data, so that a second start finds it again. */
export interface Machine {
  readonly instanceId: string;
  readonly reservationId: string;
  /** Gives the addresses; used again only after this one is terminated. */
  readonly number: number;
  readonly privateIp: string;
  /** '' for a machine that was given none. */
  readonly publicIp: string;
  readonly availabilityZone: string;
  readonly subnetId: string;
  readonly launchedMs: number;
  readonly launchTemplate: { readonly id: string; readonly version: string };
  readonly data: LaunchTemplateData;
  readonly tags: Readonly<Record<string, string>>;
  state: MachineState;
  /** As in `StateTransitionReason`; '' while it runs. */
  stateReason: string;
  terminatedMs: number | undefined;
  spotTerminationMs: number | undefined;
  rebalanceNoticeMs: number | undefined;
}

/** Where its node listens. */
export function addressesOf({ privateIp, publicIp }: Machine): readonly string[] {
  return publicIp === '' ? [privateIp] : [privateIp, publicIp];
}

export function isTerminated({ state }: Machine): boolean {
  return state === 'terminated';
}

const BYTES_PER_GIB = 1024 ** 3;
/** AWS's smallest root volume for Amazon Linux, used when the template names no size. */
const DEFAULT_VOLUME_GIB = 8;

/** What images call their root volume. */
const ROOT_DEVICES = ['/dev/xvda', '/dev/sda1'];

/** The data volume is the one that is not the root; without such a one the data lies on the root. */
export function volumeSizeBytes({ BlockDeviceMappings }: LaunchTemplateData): number {
  const isRoot = (name: string | undefined): boolean => name !== undefined && ROOT_DEVICES.includes(name);
  const data = BlockDeviceMappings.find(({ DeviceName }) => !isRoot(DeviceName)) ?? BlockDeviceMappings[0];
  return (data?.Ebs?.VolumeSize ?? DEFAULT_VOLUME_GIB) * BYTES_PER_GIB;
}
