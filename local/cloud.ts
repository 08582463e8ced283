/** What `chordfs up` and the tests see of the local cloud. */
export interface CloudOptions {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  /** Size of each instance's data volume. */
  readonly volumeSizeBytes: number;
  /** Percent of a volume at which the alarm fires. */
  readonly threshold: number;
  /** Whether the group also shrinks by itself, when fewer would do; undefined: as the template says. */
  readonly scaleIn?: boolean | undefined;
  /** How many times faster than real time the cloud's minutes pass. */
  readonly timeScale: number;
  /** Where state and volumes live; undefined: a temporary folder, removed at stop. */
  readonly directory: string | undefined;
  /** Port of the one endpoint, on 127.0.0.1; 0 takes any free one. */
  readonly port: number;
  /** Address offset for instances: instance n has host part `firstHost + n` in 127.10.0.x and 127.0.0.x (default 10). */
  readonly firstHost?: number;
  /** What an upload of an existing name does: `replace`, `rename` or `refuse`; undefined: as the template says. */
  readonly onConflict?: string | undefined;
  /** Colours of the nodes' pages: `light`, `auto` or `dark`; undefined: as the template says. */
  readonly theme?: string | undefined;
  /** Variables for every node beside its user data: what instances on AWS fetch from Parameter Store when they boot. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** One line of progress for people: an instance started, a process ended. */
  readonly log?: ((line: string) => void) | undefined;
}

export interface CloudNode {
  readonly instanceId: string;
  /** Ring identifier, 8 hex digits, or '' while it has none. */
  readonly id: string;
  readonly privateIp: string;
  readonly publicIp: string;
}

export interface CloudEvent {
  readonly id: string;
  readonly time: string;
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Cloud {
  readonly endpoint: string;
  readonly region: string;
  readonly autoScalingGroupName: string;
  readonly busName: string;
  readonly tableName: string;
  /** Instances of the group that are InService. */
  nodes(): Promise<readonly CloudNode[]>;
  /** Resolves once as many instances as the group desires are InService and their nodes serve. */
  whenReady(signal: AbortSignal): Promise<void>;
  /** Every event on the stage's own bus (the scaling log), in order. */
  onScalingEvent(listener: (event: CloudEvent) => void): () => void;
  /** Stops every process it started, within 10 s; removes a temporary directory. Safe to call twice. */
  stop(): Promise<void>;
}
