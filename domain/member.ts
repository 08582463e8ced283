import type { Identifier } from './identifier.ts';

/**
 * A member's phase, as the ring knows it. `joining`: in the pointers, receives new writes, not yet counted as a
 * replica and owner of nothing. `active`: owner and replica. `draining`: still owner and replica, and handing
 * everything over; not chosen for new joins. `left` is final for this incarnation.
 */
export type MemberPhase = 'joining' | 'active' | 'draining' | 'left';

/** What peers know of each other. On the wire to course clients only `[publicIp | privateIp, chordPort, id]`. */
export interface Member {
  readonly id: Identifier;
  /** EC2's name of the machine, or `ip:port` for a node started by hand. Identity goes by this, never by address. */
  readonly instanceId: string;
  /** Grows at every start of the process: a pointer to an older life is recognised as stale. */
  readonly incarnation: number;
  /** The address peers dial. */
  readonly privateIp: string;
  /** The address clients outside the VPC are given; the private one where there is no public one. */
  readonly publicIp: string;
  readonly chordPort: number;
  readonly httpPort: number;
  readonly availabilityZone: string;
}
