import { createHash } from 'node:crypto';

/** A resource with all its functions evaluated, about to be created. */
export interface ResourceRequest {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly stackName: string;
  readonly region: string;
}

export interface CreatedResource {
  /** What `Ref` yields. */
  readonly ref: string;
  /** What `Fn::GetAtt` yields, by attribute name. */
  readonly attributes?: Readonly<Record<string, unknown>>;
  /** Undoes the creation. Deploying again onto kept state never calls it. */
  delete?(): Promise<void> | void;
}

/** Creates resources of one type. Creating what exists already (a second start with --dir) must succeed. */
export type ResourceHandler = (request: ResourceRequest) => Promise<CreatedResource> | CreatedResource;

export type ResourceHandlers = Readonly<Record<string, ResourceHandler>>;

/**
 * Hex digits that name a resource for as long as its stack lives, so that a second deploy meets the same ids.
 * Two stacks in one cloud differ in their stack names.
 */
export function physicalIdOf(request: ResourceRequest, digits = 17): string {
  const seed = `${request.stackName}/${request.logicalId}`;
  return createHash('sha256').update(seed).digest('hex').slice(0, digits);
}

/** The name CloudFormation makes up for a resource that does not give one. */
export function generatedName(request: ResourceRequest): string {
  const suffix = physicalIdOf(request, 12).toUpperCase();
  return `${request.stackName}-${request.logicalId}-${suffix}`;
}
