import { z } from 'zod';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import { type Identifier, isIdentifier } from '../../domain/identifier.ts';

/**
 * Everything members ask of each other about files: one table of operations with the shape of request and reply.
 * Both ends check what they receive against it. If you add an operation, add its handler in `peer-service.ts`, and
 * keep it safe to repeat: the transport may send a request twice.
 */

/** Items that movement asks for at once; their content together is at most one payload. */
export const MAX_BATCH_ITEMS = 128;
/** No list inside a message is longer: a page of a listing, or the chunks of one file of 4 TiB. */
const MAX_ITEMS = 2 ** 20;

const position = z.custom<Identifier>(isIdentifier, 'identifier');
const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const uploadId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const name = z.string().min(1).max(1_024);
const version = z.object({ counter: count, nodeId: position });
const arc = z.object({ from: position, to: position });
const chunkId = z.object({ key: position, uploadId, index: count });
const chunkRef = z.object({ sha256, sizeBytes: count.max(CHUNK_SIZE_BYTES), key: position });
const chunks = z.array(chunkRef).max(MAX_ITEMS);
const tags = z.array(z.string().max(256)).max(256).optional();

/** As it is stored somewhere: what has once come in must go round, or movement would stop at it. Bounds are for `draft`. */
const record: z.ZodType<FileRecord> = z.object({
  name,
  version,
  deleted: z.boolean(),
  sizeBytes: count,
  sha256: z.union([sha256, z.literal('')]),
  contentType: z.string(),
  modifiedMs: z.number(),
  uploadId,
  chunks,
});

const chunkHeader = chunkId.extend({ name, sha256, sizeBytes: count.max(CHUNK_SIZE_BYTES) });
const chunkInfo = chunkHeader.extend({ storedMs: z.number(), verifiedMs: z.number() });
const digest = z.object({ count, sizeBytes: count, hash: z.string().max(64) });
/** As it comes in. Never wider than `record`. */
const draft = z.object({
  name,
  sizeBytes: count,
  sha256,
  contentType: z.string().max(1_024),
  uploadId,
  chunks,
});
/** What of a member's answer about records may be relied on, see `isSynced` in `read-record`. */
const role = z.enum(['owner', 'replica']);
const empty = z.object({});

/** The one asked serves clients of its own: movement gives way to them too. */
const isBusy = z.boolean().optional();

export const OPERATIONS = {
  /** Payload: the chunk. Durable when answered. */
  'put-chunk': { request: z.object({ chunk: chunkHeader }), reply: empty },
  /** Reply payload: the verified chunk. */
  'get-chunk': { request: z.object({ chunk: chunkId }), reply: z.object({ found: z.boolean(), isBusy }) },
  /** Only once its content is on a quorum of its replicas. Answers with the record held afterwards. */
  'put-record': {
    request: z.object({ record }),
    reply: z.object({ version, uploadId }),
  },
  /** Asks the owner to make an upload visible. Payload: the whole file, when `withChunk`. */
  commit: {
    request: z.object({
      draft,
      withChunk: z.boolean(),
      refuseExisting: z.boolean(),
      ifMatch: tags,
      ifNoneMatch: tags,
    }),
    reply: z.object({ record }),
  },
  delete: {
    request: z.object({ name, deletionId: uploadId, ifMatch: tags }),
    reply: z.object({ existed: z.boolean() }),
  },
  /**
   * `owner` refuses with NOT_OWNER unless it may speak for the name; `replica` tells what it has, and whether it
   * holds every acknowledged record of that arc. Reply payload: the content of a small file.
   */
  'read-record': {
    request: z.object({ name, role, inlineLimitBytes: count.max(CHUNK_SIZE_BYTES) }),
    reply: z.object({ record: record.optional(), isSynced: z.boolean(), isInline: z.boolean(), isBusy }),
  },
  /**
   * What `read-record` tells a replica, of several names at once. Reply payload: the contents of small files one after
   * the other, in the order of the names; `contentBytes` 0: not in it.
   */
  'read-records': {
    request: z.object({
      wanted: z.array(z.object({ name, withContent: z.boolean() })).max(MAX_BATCH_ITEMS),
    }),
    reply: z.object({
      found: z
        .array(z.object({ record: record.optional(), contentBytes: count.max(CHUNK_SIZE_BYTES) }))
        .max(MAX_BATCH_ITEMS),
      isBusy,
    }),
  },
  /** Reply payload: the verified chunks one after the other; `sizesBytes` 0: no intact copy here, or no room left. */
  'get-chunks': {
    request: z.object({ chunks: z.array(chunkId).max(MAX_BATCH_ITEMS) }),
    reply: z.object({ sizesBytes: z.array(count.max(CHUNK_SIZE_BYTES)).max(MAX_BATCH_ITEMS), isBusy }),
  },
  /** One page of the records of an arc. `brief` leaves the chunk lists out. */
  'list-records': {
    request: z.object({ arc, after: name.optional(), limit: count.max(5_000), role, brief: z.boolean() }),
    reply: z.object({ records: z.array(record).max(5_000), isSynced: z.boolean(), isComplete: z.boolean() }),
  },
  'list-chunks': {
    request: z.object({ arc, after: chunkId.optional(), limit: count.max(5_000) }),
    reply: z.object({ chunks: z.array(chunkInfo).max(5_000), isComplete: z.boolean() }),
  },
  'chunk-infos': {
    request: z.object({ chunks: z.array(chunkId).max(MAX_ITEMS) }),
    reply: z.object({ chunks: z.array(chunkInfo).max(MAX_ITEMS) }),
  },
  digests: {
    request: z.object({ kind: z.enum(['records', 'chunks']), arcs: z.array(arc).max(5_000) }),
    reply: z.object({ digests: z.array(digest).max(5_000) }),
  },
  'remove-chunks': { request: z.object({ chunks: z.array(chunkId).max(5_000) }), reply: empty },
  'remove-tombstone': { request: z.object({ name, version }), reply: z.object({ removed: z.boolean() }) },
  /** Asks the owner of each name whether this upload is, or may yet become, its live content. */
  'are-live': {
    request: z.object({ uploads: z.array(z.object({ name, uploadId })).max(5_000) }),
    reply: z.object({ live: z.array(z.boolean()).max(5_000) }),
  },
  /** Which of these uploads the member that received them is still working on. */
  'are-active': {
    request: z.object({ uploadIds: z.array(uploadId).max(5_000) }),
    reply: z.object({ active: z.array(z.boolean()).max(5_000) }),
  },
  /** Answered once this member sees the other in the phase, and no write that began before is still under way. */
  sees: {
    request: z.object({
      instanceId: z.string().max(256),
      incarnation: count,
      phase: z.enum(['joining', 'active', 'draining', 'left']),
      waitMs: count.max(60_000),
    }),
    reply: z.object({ seen: z.boolean() }),
  },
  /** This member has missed something: it should compare with the others soon. */
  nudge: { request: empty, reply: empty },
  /** Promises not to accept a lower tenure than `proposal`; answers with the highest one known. See tenure.ts. */
  tenure: { request: z.object({ proposal: count }), reply: z.object({ highest: count }) },
} as const;

export type Operation = keyof typeof OPERATIONS;
export type RequestOf<O extends Operation> = z.infer<(typeof OPERATIONS)[O]['request']>;
export type ReplyOf<O extends Operation> = z.infer<(typeof OPERATIONS)[O]['reply']>;
export type FileDraft = RequestOf<'commit'>['draft'];

export function isOperation(text: string): text is Operation {
  return Object.hasOwn(OPERATIONS, text);
}
