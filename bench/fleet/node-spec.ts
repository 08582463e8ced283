import type { Tuning } from '../../node/member-life.ts';

/** What one node of a fleet is told at its start, as JSON. */
export interface NodeSpec {
  readonly instanceId: string;
  readonly address: string;
  readonly availabilityZone: string;
  readonly directory: string;
  readonly capacityBytes: number | undefined;
  /** Of the DynamoDB that holds the member table. */
  readonly tableEndpoint: string;
  readonly tableName: string;
  readonly stage: string;
  readonly timeScale: number;
  readonly tuning: Tuning;
}

/** From the fleet to its node: leave in order, as Auto Scaling says it through the instance metadata. */
export type FleetOrder = 'leave';
