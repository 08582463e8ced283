import { hash } from 'node:crypto';

/** Whether these are the bytes that were written: checked on every hop, so damage is never passed on. */
export function matchesChecksum(
  bytes: Uint8Array,
  expected: { readonly sha256: string; readonly sizeBytes: number },
): boolean {
  return bytes.byteLength === expected.sizeBytes && hash('sha256', bytes) === expected.sha256;
}
