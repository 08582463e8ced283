import { z } from 'zod';
import type { DynamoDb } from '../../dynamo-db/dynamo-db.ts';
import type { S3 } from '../../s3/s3.ts';
import { generatedName, type ResourceHandlers } from '../resource-handler.ts';
import { read } from './properties.ts';

const tableSchema = z.looseObject({ TableName: z.string().optional() });
const bucketSchema = z.object({ BucketName: z.string().optional() });

export function storageResources(dynamoDb: DynamoDb, s3: S3): ResourceHandlers {
  return {
    async 'AWS::DynamoDB::Table'(request) {
      const { TableName: name = generatedName(request) } = read(tableSchema, request.properties);
      const { arn } = await dynamoDb.putTable(name, request.properties);
      return { ref: name, attributes: { Arn: arn }, delete: () => dynamoDb.deleteTable(name) };
    },
    async 'AWS::S3::Bucket'(request) {
      const { BucketName: name = generatedName(request).toLowerCase() } = read(
        bucketSchema,
        request.properties,
      );
      const { arn } = await s3.putBucket(name);
      const domain = `${name}.s3.${request.region}.amazonaws.com`;
      const attributes = { Arn: arn, DomainName: `${name}.s3.amazonaws.com`, RegionalDomainName: domain };
      return { ref: name, attributes, delete: () => s3.deleteBucket(name) };
    },
    'AWS::S3::BucketPolicy': (request) => ({ ref: String(request.properties['Bucket']) }),
  };
}
