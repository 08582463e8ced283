import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Transform, type TransformCallback } from 'node:stream';
import type { StagedFile } from '../files/files.ts';

/**
 * Finished parts of one request that may wait for their replicas before more of the body is read. A part that is
 * small lies in memory until then. Raised: memory per request. Lowered: many small files in one request go slower.
 */
const MAX_WAITING_PARTS = 8;

/** The name under which a part was staged, and what came of it. */
export interface StagedPart {
  readonly name: string;
  readonly staged: StagedFile;
}

interface PartInfo {
  readonly filename?: string | undefined;
}

/**
 * The body of one multipart upload on its way into the parser, with what was staged from it.
 *
 * The parser asks nobody before it buffers the next part, so a client could fill the memory with small parts faster
 * than they can be stored. Passing the bytes through here lets them wait.
 */
export class UploadBody extends Transform {
  /** Multer decides by them whether this is a form, and where its parts begin. */
  readonly headers: IncomingHttpHeaders;
  /** A part of the field `files` came without a file: a form sent with nothing chosen. */
  hasNamelessFile = false;
  /** By their place in the request; small ones are staged before large ones that began earlier. */
  readonly #staged: StagedPart[] = [];
  #begunCount = 0;
  #unfinishedCount = 0;
  #wake: (() => void) | undefined;

  constructor(request: IncomingMessage) {
    super();
    this.headers = request.headers;
  }

  /** What was staged so far, in the order of the request. */
  get parts(): readonly StagedPart[] {
    // Skips the places of parts that are still arriving, or never will.
    return this.#staged.filter(() => true);
  }

  /** The place of the part that begins now, among the files of the request. */
  partBegan(): number {
    this.#unfinishedCount += 1;
    return this.#begunCount++;
  }

  partStaged(place: number, part: StagedPart): void {
    this.#staged[place] = part;
  }

  partEnded(): void {
    this.#unfinishedCount -= 1;
    this.#wake?.();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (!this.#mustWait()) callback(null, chunk);
    else {
      this.#wake = () => {
        if (this.#mustWait()) return;
        this.#wake = undefined;
        callback(null, chunk);
      };
    }
  }

  /**
   * Multer passes over a part without a file name in silence, so the parser is listened to as well, from the moment
   * it is connected.
   */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    const parser: EventEmitter = destination;
    parser.prependListener('file', (field: unknown, _stream: unknown, { filename }: PartInfo) => {
      if (field === 'files' && (filename ?? '') === '') this.hasNamelessFile = true;
    });
    return super.pipe(destination, options);
  }

  /** The latest part is still being received, so it needs more of the body to finish; only those before it count. */
  #mustWait(): boolean {
    return this.#unfinishedCount > MAX_WAITING_PARTS;
  }
}
