/** Addresses that a machine cannot reach, nor be reached from; all ports unless one is named. */
export type Unreachable =
  | { readonly address: string; readonly port?: number }
  /** Every address that begins so. */
  | { readonly prefix: string; readonly port?: number };

/** What a machine does to its node process, see lifeline.mjs. Always told as a whole. */
export interface Weather {
  readonly unreachable: readonly Unreachable[];
  /** How far the machine's wall clock is ahead; negative when it is behind. */
  readonly clockSkewMs: number;
}

export const CALM: Weather = { unreachable: [], clockSkewMs: 0 };
