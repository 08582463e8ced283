import type { NodeBundle } from './compute.ts';
import type { BundleReference } from './instances/user-data.ts';
import type { S3 } from './s3/s3.ts';

/**
 * The node bundle that an instance's user data names, as it lies in its bucket: an instance that boots before its
 * bundle was uploaded does not start, here as on EC2.
 * @throws AwsError `NoSuchKey`, `NoSuchBucket`.
 */
export async function fetchNodeBundle(s3: S3, { bucket, key, sha256 }: BundleReference): Promise<NodeBundle> {
  await s3.head(bucket, key);
  return { sha256, path: s3.pathOf(bucket, key) };
}
