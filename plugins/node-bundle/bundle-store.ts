import { readFile } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { hasName } from './error-name.ts';

/** Puts the bundle where instances fetch it, unless it is there: its key is its hash. */
export async function uploadBundle(
  s3: S3Client,
  options: { readonly bucket: string; readonly key: string; readonly path: string },
): Promise<'uploaded' | 'present'> {
  const { bucket: Bucket, key: Key, path } = options;
  try {
    await s3.send(new HeadObjectCommand({ Bucket, Key }));
    return 'present';
  } catch (error) {
    if (!hasName(error, 'NotFound', 'NoSuchKey')) throw error;
  }
  await s3.send(
    new PutObjectCommand({ Bucket, Key, Body: await readFile(path), ContentType: 'application/gzip' }),
  );
  return 'uploaded';
}

/**
 * Deletes everything in the bucket: what somebody put beside the service's own objects, what versioning kept, uploads
 * that never ended. A bucket that holds anything cannot be deleted, and takes the removal of the stack down with it.
 */
export async function emptyBucket(s3: S3Client, Bucket: string): Promise<void> {
  try {
    for (let isMore = true; isMore; ) {
      // Always the first page: the one before is gone.
      const page = await s3.send(new ListObjectVersionsCommand({ Bucket }));
      const found = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
      const Objects = found.map(({ Key, VersionId }) => ({ Key, VersionId }));
      if (Objects.length > 0) {
        const { Errors = [] } = await s3.send(
          new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
        );
        // Without this, an object that may not be deleted would be tried for ever.
        if (Errors[0] !== undefined)
          throw new Error(`${Errors[0].Key} cannot be deleted: ${Errors[0].Message}`);
      }
      isMore = Objects.length > 0;
    }
    const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
    for (const { Key, UploadId } of Uploads)
      await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  } catch (error) {
    if (!hasName(error, 'NoSuchBucket')) throw error;
  }
}
