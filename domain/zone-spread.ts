import { REPLICA_COUNT } from './file-record.ts';
import type { Identifier } from './identifier.ts';

interface Placed {
  readonly id: Identifier;
  readonly availabilityZone?: string;
}

/**
 * How many windows of R consecutive members would lie in one availability zone, with the newcomer among them. Each is
 * an arc whose every copy goes with that zone, so fewer is better. 0 where all members are in one zone: there is
 * nothing to choose then.
 */
export function sharedZoneWindows(members: readonly Placed[], newcomer: Placed): number {
  const zones = [...members, newcomer]
    .sort((a, b) => a.id - b.id)
    .map(({ availabilityZone = '' }) => availabilityZone);
  if (new Set(zones).size < 2) return 0;
  const width = Math.min(REPLICA_COUNT, zones.length);
  return zones.filter((zone, start) => {
    const window = Array.from({ length: width }, (_, step) => zones[(start + step) % zones.length]);
    return window.every((other) => other === zone);
  }).length;
}
