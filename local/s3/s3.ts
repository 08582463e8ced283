import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { AwsError } from '../service.ts';

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** MD5 in hex, without the quotes. */
  readonly etag: string;
}

/** S3, as little of it as the bundle bucket needs: whole objects, kept as files under `directory/<bucket>/`. */
export class S3 {
  readonly #directory: string;
  readonly #buckets = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Safe to repeat; keeps what is in the bucket. */
  async putBucket(name: string): Promise<{ readonly arn: string }> {
    await mkdir(join(this.#directory, name), { recursive: true });
    this.#buckets.add(name);
    return { arn: `arn:aws:s3:::${name}` };
  }

  async deleteBucket(name: string): Promise<void> {
    this.#buckets.delete(name);
    await rm(join(this.#directory, name), { recursive: true, force: true });
  }

  buckets(): readonly string[] {
    return [...this.#buckets];
  }

  async put(bucket: string, key: string, body: Uint8Array): Promise<StoredObject> {
    const path = this.#path(bucket, key);
    await mkdir(dirname(path), { recursive: true });
    const fresh = `${path}.${process.pid}.uploading`;
    await writeFile(fresh, body);
    await rename(fresh, path);
    return this.head(bucket, key);
  }

  /** @throws AwsError `NoSuchKey` */
  async get(bucket: string, key: string): Promise<{ readonly object: StoredObject; readonly body: Buffer }> {
    const object = await this.head(bucket, key);
    return { object, body: await readFile(this.#path(bucket, key)) };
  }

  async head(bucket: string, key: string): Promise<StoredObject> {
    const path = this.#path(bucket, key);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
    const etag = createHash('md5')
      .update(await readFile(path))
      .digest('hex');
    return { key, sizeBytes: found.size, modifiedMs: found.mtimeMs, etag };
  }

  async list(bucket: string, prefix: string): Promise<readonly StoredObject[]> {
    const root = this.#path(bucket, '');
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const keys = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.uploading'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((key) => key.startsWith(prefix))
      .sort();
    return Promise.all(keys.map((key) => this.head(bucket, key)));
  }

  async remove(bucket: string, key: string): Promise<void> {
    await rm(this.#path(bucket, key), { force: true });
  }

  /** Keys become paths, so one that would leave its bucket's folder is refused. */
  #path(bucket: string, key: string): string {
    if (!this.#buckets.has(bucket))
      throw new AwsError('NoSuchBucket', 'The specified bucket does not exist', 404);
    const root = resolve(this.#directory, bucket);
    const path = resolve(root, key);
    if (path !== root && !path.startsWith(root + sep))
      throw new AwsError('InvalidURI', "Couldn't parse the URI.");
    if (key.includes('\0')) throw new AwsError('InvalidURI', "Couldn't parse the URI.");
    return path;
  }
}
