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
  /** The user's own (`x-amz-meta-*`), without the prefix. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Beside the buckets; no bucket can have this name. */
const METADATA = '.metadata';

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

  /** @throws AwsError `BucketNotEmpty`, which is what keeps many a stack from being deleted. */
  async deleteBucket(name: string): Promise<void> {
    if (!this.#buckets.has(name)) return;
    const left = await this.list(name, '');
    if (left.length > 0) {
      const message = `The bucket you tried to delete is not empty: ${left[0]?.key}`;
      throw new AwsError('BucketNotEmpty', message, 409);
    }
    this.#buckets.delete(name);
    await rm(join(this.#directory, name), { recursive: true, force: true });
    await rm(join(this.#directory, METADATA, name), { recursive: true, force: true });
  }

  buckets(): readonly string[] {
    return [...this.#buckets];
  }

  async put(
    bucket: string,
    key: string,
    body: Uint8Array,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<StoredObject> {
    const path = this.#path(bucket, key);
    const metadataPath = this.#metadataPath(bucket, key);
    if (Object.keys(metadata).length > 0) {
      await mkdir(dirname(metadataPath), { recursive: true });
      await writeFile(metadataPath, JSON.stringify(metadata));
    } else await rm(metadataPath, { force: true });
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

  /** Where an object lies on this machine. @throws AwsError */
  pathOf(bucket: string, key: string): string {
    return this.#path(bucket, key);
  }

  async head(bucket: string, key: string): Promise<StoredObject> {
    const path = this.#path(bucket, key);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
    const etag = createHash('md5')
      .update(await readFile(path))
      .digest('hex');
    const text = await readFile(this.#metadataPath(bucket, key), 'utf8').catch(() => '{}');
    const metadata = JSON.parse(text) as Record<string, string>;
    return { key, sizeBytes: found.size, modifiedMs: found.mtimeMs, etag, metadata };
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
    await rm(this.#metadataPath(bucket, key), { force: true });
  }

  #metadataPath(bucket: string, key: string): string {
    return resolve(this.#directory, METADATA, bucket, `${key}.json`);
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
