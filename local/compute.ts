/** The contract of the emulated compute services: what `createCompute` takes, and what it gives. */
import type { ComputeFaults } from './compute-faults.ts';
import type { Principal } from './iam/authorizer.ts';
import type { AccessRequest } from './iam/evaluate.ts';
import type { Credentials } from './imds/credentials.ts';
import type { BundleReference } from './instances/user-data.ts';
import type { CloudClock, Emit, Service } from './service.ts';

/** The packaged node: a gzipped tar with `main.mjs` at its top. */
export interface NodeBundle {
  readonly sha256: string;
  /** Where the archive lies on this machine. */
  readonly path: string;
}

/** One `PutMetricData` call, shaped as the SDK's input. */
export interface MetricData {
  readonly Namespace: string;
  readonly MetricData: readonly {
    readonly MetricName: string;
    readonly Dimensions: readonly { readonly Name: string; readonly Value: string }[];
    readonly Timestamp: Date;
    readonly Value: number;
    readonly Unit: 'Percent';
  }[];
}

export interface ComputeOptions {
  readonly clock: CloudClock;
  /** Where Auto Scaling's and EC2's events go: B's default bus. */
  readonly emit: Emit;
  /** Holds `instances/<instanceId>/` (data, log, user data) and `bundles/<sha256>/`. Created when missing. */
  readonly directory: string;
  readonly region: string;
  readonly availabilityZone: string;
  /** Shared with the endpoint, which maps access keys back to roles, and with the Lambda runtime. */
  readonly credentials: Credentials;
  /** The one endpoint of all services. Asked when an instance starts, so it may be set after `createCompute`. */
  readonly endpointUrl: () => string;
  /** What the CloudWatch agent of an instance reports, once per scaled collection interval. */
  readonly putMetricData: (data: MetricData) => void | Promise<void>;
  /** Fetches the bundle that the user data names, as the instance's own role. @throws Error */
  readonly bundle: (wanted: BundleReference, principal: Principal) => Promise<NodeBundle>;
  /** Whether an instance's role lets it do something that the emulated machine does for it; default: everything. */
  readonly permits?: ((principal: Principal, request: AccessRequest) => boolean) | undefined;
  /** The role behind an instance profile, by the profile's name or ARN. */
  readonly instanceProfileRole: (
    profile: string,
  ) => { readonly roleName: string; readonly roleArn: string } | undefined;
  /** Size of each instance's data volume; undefined: as the launch template's block device says. */
  readonly volumeSizeBytes?: number | undefined;
  /** Variables that the boot script fetches as secrets, which no user data holds. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Instance n has host part `firstHost + n` in 127.10.0.x and 127.0.0.x (default 10). */
  readonly firstHost?: number | undefined;
  /** Real ms below which no scale makes a hook's timeout fall; default 45 s. */
  readonly shortestHookPatienceMs?: number | undefined;
  /** First three octets of instance addresses (defaults `127.10.0` and `127.0.0`); tests use their own. */
  readonly privatePrefix?: string | undefined;
  readonly publicPrefix?: string | undefined;
  /** What `exportState` returned in an earlier life. */
  readonly state?: ComputeState | undefined;
  /** One line for people: an instance started, a process ended unexpectedly. */
  readonly log?: ((line: string) => void) | undefined;
}

/** CloudFormation properties, every intrinsic function resolved. Validated here. */
export type ResourceProperties = Readonly<Record<string, unknown>>;

/** Plain JSON; opaque to everybody else. */
export type ComputeState = Readonly<Record<string, unknown>>;

/** An instance as the local cloud's owner sees it; the APIs show the rest. */
export interface InstanceView {
  readonly instanceId: string;
  readonly privateIp: string;
  readonly publicIp: string;
  /** EC2's: pending, running, shutting-down, terminated. */
  readonly state: string;
  /** Auto Scaling's, for example `Pending:Wait`; undefined outside a group. */
  readonly lifecycleState: string | undefined;
  readonly autoScalingGroupName: string | undefined;
  /** Folder of the instance: `data/`, `node.log`. */
  readonly directory: string;
  readonly pid: number | undefined;
}

/** Auto Scaling, EC2, STS, instance metadata and the instances themselves. */
export interface Compute {
  /** `autoscaling`, `ec2` and `sts`, to be mounted by the endpoint. */
  readonly services: readonly Service[];
  readonly faults: ComputeFaults;
  /** Starts the instances of the restored state on their old folders and addresses. Call once the endpoint listens. */
  start(): Promise<void>;

  /**
   * AWS::EC2::LaunchTemplate: creates it, or adds a version when `LaunchTemplateData` differs from the latest.
   * `Ref` is `launchTemplateId`; `GetAtt` gives `LatestVersionNumber` and `DefaultVersionNumber` (strings).
   */
  putLaunchTemplate(
    logicalId: string,
    properties: ResourceProperties,
  ): {
    readonly launchTemplateId: string;
    readonly latestVersionNumber: string;
    readonly defaultVersionNumber: string;
  };
  deleteLaunchTemplate(launchTemplateId: string): void;
  /**
   * AWS::AutoScaling::AutoScalingGroup: creates it with its inline lifecycle hooks, or updates the group of that
   * name. Instances launch in the background; `Ref` is the name.
   * @throws Error with the address and what to do, when an address that the instances need cannot be bound.
   */
  putAutoScalingGroup(
    logicalId: string,
    properties: ResourceProperties,
  ): Promise<{ readonly autoScalingGroupName: string; readonly autoScalingGroupArn: string }>;
  autoScalingGroupNames(): readonly string[];
  launchTemplateNames(): readonly string[];
  /** Ids of the instances whose data volume is still there. */
  volumes(): Promise<readonly string[]>;
  /** ARN of a group that is there, for example from an earlier life. */
  autoScalingGroupArn(autoScalingGroupName: string): string | undefined;
  /** As a stack deletion does it: sets everything to 0, terminates through the hooks, resolves when all are gone. */
  deleteAutoScalingGroup(autoScalingGroupName: string): Promise<void>;

  /** Instances that are not terminated, by address. */
  instances(): readonly InstanceView[];
  /** Calls back after every change of an instance's EC2 or lifecycle state; returns how to stop. */
  onChange(listener: (instance: InstanceView) => void): () => void;
  /** What a second start needs. Call it before `stop`, and whenever it should survive a crash of the cloud. */
  exportState(): ComputeState;
  /** Ends every process and metadata server without running hooks: power off, not scale-in. Safe to call twice. */
  stop(): Promise<void>;
}
