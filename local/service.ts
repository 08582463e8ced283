/**
 * What the emulated services share. Each service is a plain object of operations, named and shaped as in AWS's API
 * (the same input and output types as the SDK's commands); `local/protocol/` puts them on the wire.
 */

/** Time as the emulated cloud sees it: real ms divided by the scale. Only AWS's own waits use it. */
export interface CloudClock {
  /** Ms since the epoch, real. Timestamps are never scaled. */
  now(): number;
  readonly timeScale: number;
  /** Runs `task` after `cloudMs` / timeScale real ms, unless cancelled; errors of `task` end the process as a bug. */
  after(cloudMs: number, task: () => void | Promise<void>): { cancel(): void };
}

/** An EventBridge event as a service emits it; the bus fills in id, account, region, time and version. */
export interface EmittedEvent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly resources: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
  /** Bus name; AWS services emit on `default`. */
  readonly bus?: string;
}
export type Emit = (event: EmittedEvent) => void;

/** Who calls, from the request's signature: `admin` for unknown access keys (the person at the keyboard). */
export interface Caller {
  readonly accessKeyId: string;
  /** ARN of the assumed role, or undefined for `admin`. */
  readonly roleArn: string | undefined;
  /** The session's name, as in the ARN of the assumed role: an instance's id, a function's name. */
  readonly session?: string | undefined;
}

export type Operation = (input: never, caller: Caller) => Promise<unknown> | unknown;

export interface Service {
  /** As in the credential scope of a signature: `autoscaling`, `ec2`, `dynamodb`, `events`, `monitoring`, ... */
  readonly signingName: string;
  readonly operations: Readonly<Record<string, Operation>>;
}

/** An error with AWS's code and message; `status` is the HTTP status AWS uses for it. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export const ACCOUNT_ID = '000000000000';
