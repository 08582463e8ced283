/**
 * One call to AWS must not hang longer than the retries around it are patient. Without the last setting the SDK only
 * warns of a request that takes too long, and waits on: a lost answer would silence a node's heartbeats for good.
 */
const LIMITS = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };

/**
 * How a node's clients call AWS. The retries that matter are in the tasks around the calls; one more here only smooths
 * over a lost packet.
 */
export function awsCalls(region: string) {
  return { region, maxAttempts: 2, requestHandler: LIMITS };
}
