import type { Readable } from 'node:stream';
import type multer from '@koa/multer';
import type { Files } from '../files/files.ts';
import { contentTypeOf } from './content-type.ts';
import { lastComponent } from './request-target.ts';
import { UploadBody } from './upload-body.ts';

/** The types leave out what a storage engine is there for. */
type MulterFile = multer.File & { readonly stream: Readable };

export interface UploadClient {
  readonly caller: string;
  /** Fires when it goes away. */
  readonly signal: AbortSignal;
}

/**
 * Multer's storage: streams each part to its replicas as it arrives. Nothing becomes visible here; the handler of the
 * request commits what lies in `UploadBody.parts` once the form has proved to be whole.
 */
export class StagingEngine implements multer.StorageEngine {
  readonly #files: Pick<Files, 'stage'>;
  readonly #clients: WeakMap<object, UploadClient>;

  /** @param clients Of each body: who sends it. */
  constructor(files: Pick<Files, 'stage'>, clients: WeakMap<object, UploadClient>) {
    this.#files = files;
    this.#clients = clients;
  }

  _handleFile(
    request: unknown,
    file: MulterFile,
    callback: (error?: unknown, info?: multer.File) => void,
  ): void {
    if (!(request instanceof UploadBody)) throw new Error('The engine stages nothing but upload bodies');
    const name = lastComponent(file.originalname);
    const client = this.#clients.get(request) ?? { caller: '', signal: AbortSignal.abort() };
    const place = request.partBegan();
    this.#stage(name, file, client)
      .then(
        (staged) => {
          request.partStaged(place, { name, staged });
          callback(null, file);
        },
        (error: unknown) => {
          // The parser waits until the part is consumed, and without it would never report the error.
          file.stream.resume();
          callback(error);
        },
      )
      .finally(() => request.partEnded());
  }

  /** The handler aborts everything that was staged; there is no single file to remove. */
  _removeFile(_request: unknown, _file: MulterFile, callback: (error: Error) => void): void {
    // The types know only failure; without an argument it is success.
    (callback as (error?: Error) => void)();
  }

  async #stage(name: string, { stream }: MulterFile, client: UploadClient) {
    return await this.#files.stage(name, stream, { contentType: contentTypeOf(name, undefined), ...client });
  }
}
