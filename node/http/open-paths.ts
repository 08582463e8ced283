/** Everything of a node that is not a file. */
export const OWN_PREFIX = '/_chordfs/';
/** Requests of other members, which prove themselves by their signature. */
export const PEER_PREFIX = `${OWN_PREFIX}peer/`;
/** Probes: whether the process lives, and whether it serves. */
export const HEALTH_PATH = `${OWN_PREFIX}healthz`;
export const READY_PATH = `${OWN_PREFIX}readyz`;

/** Whether a request needs neither a login nor a certificate: probes tell no secret, and members prove themselves. */
export function isOpenToAll(url: string): boolean {
  return url.startsWith(PEER_PREFIX) || url === HEALTH_PATH || url === READY_PATH;
}
