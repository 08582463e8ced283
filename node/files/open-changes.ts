import type { Version } from '../../domain/file-record.ts';
import { BoundedMap } from './bounded-map.ts';

/** Names remembered. Beyond it the oldest are forgotten: chunks of theirs may then be collected too early. */
const MAX_NAMES = 10_000;

/**
 * The changes of which this owner cannot tell yet whether they become visible: those it is making, and those that
 * failed after some replica may have taken their record. Such a replica may be met again at any time, and its record
 * be the newest then, so nothing of it may be called garbage before a newer version has been acknowledged.
 */
export class OpenChanges {
  readonly #names = new BoundedMap<string, OpenName>(MAX_NAMES);

  /** False when it was open before: an earlier attempt has left it so. */
  open(name: string, uploadId: string): boolean {
    const known = this.#names.get(name) ?? { uploadIds: new Set(), highestCounter: 0 };
    if (known.uploadIds.has(uploadId)) return false;
    known.uploadIds.add(uploadId);
    this.#names.set(name, known);
    return true;
  }

  has(name: string, uploadId: string): boolean {
    return this.#names.get(name)?.uploadIds.has(uploadId) === true;
  }

  /** No member can have a record of it. */
  leftNoTrace(name: string, uploadId: string): void {
    const known = this.#names.get(name);
    known?.uploadIds.delete(uploadId);
    if (known?.uploadIds.size === 0) this.#names.delete(name);
  }

  /** Some member may have a record of this version, though this node has not. */
  leftTrace(name: string, { counter }: Version): void {
    const known = this.#names.get(name);
    if (known !== undefined) known.highestCounter = Math.max(known.highestCounter, counter);
  }

  /** No version of the name may be issued again up to this counter. */
  highestCounter(name: string): number {
    return this.#names.get(name)?.highestCounter ?? 0;
  }

  /** A version newer than all of the name that were open has been acknowledged. */
  settled(name: string): void {
    this.#names.delete(name);
  }
}

interface OpenName {
  readonly uploadIds: Set<string>;
  highestCounter: number;
}
