import { contentAddress } from '../store/content-address.ts';

/** Whether these are the bytes that were written: checked on every hop, so damage is never passed on. */
export async function matchesChecksum(
  bytes: Uint8Array,
  expected: { readonly sha256: string; readonly sizeBytes: number },
): Promise<boolean> {
  return bytes.byteLength === expected.sizeBytes && (await contentAddress(bytes)) === expected.sha256;
}
