import { hash, randomBytes } from 'node:crypto';

const TAG_LENGTH = 16;

/**
 * A new id for an upload or a deletion. It begins with a tag of the instance that received it, so that garbage
 * collection can ask that very one whether it still works on it. Neither place nor incarnation are in it: a member
 * that the ring gave up and took in again goes on with the uploads it had, and one that was restarted says itself
 * that it knows of none.
 */
export function newUploadId(instanceId: string): string {
  return `${receiverTag(instanceId)}-${randomBytes(12).toString('hex')}`;
}

/** Whether this instance may have received the upload. Two instances share a tag with a chance of 2^-64. */
export function isReceivedBy(uploadId: string, instanceId: string): boolean {
  return uploadId.startsWith(`${receiverTag(instanceId)}-`);
}

function receiverTag(instanceId: string): string {
  return hash('sha256', instanceId).slice(0, TAG_LENGTH);
}
