import type { ChunkReads } from '../files/chunk-reader.ts';
import { createDataPlane, type DataPlaneOptions } from '../files/data-plane.ts';
import type { Files } from '../files/files.ts';
import type { PeerHandlers } from '../files/peer-calls.ts';
import { type CreateMovementOptions, createMovement } from './create-movement.ts';
import type { Movement } from './movement.ts';

export type NodeFilesOptions = Omit<DataPlaneOptions, 'movement'> & Omit<CreateMovementOptions, 'plane'>;

export interface NodeFiles {
  readonly files: Files;
  /** Call `start` once the node knows its place on the ring. */
  readonly movement: Movement;
  /** For `peerRoutes`. */
  readonly handlers: PeerHandlers;
  readonly chunkReads: () => ChunkReads;
}

/** The data plane of one node: files over the ring, and the movement that keeps them where they belong. */
export function createNodeFiles(options: NodeFilesOptions): NodeFiles {
  // Files ask movement what this node may speak for, movement moves through what files are made of.
  let movement: Movement | undefined;
  const plane = createDataPlane({
    ...options,
    movement: {
      isSynced: (key) => movement?.isSynced(key) ?? false,
      maySpeakFor: (key) => movement?.maySpeakFor(key) ?? false,
      missed: (member) => movement?.missed(member),
      nudged: () => movement?.nudged(),
      recordStored: (name) => movement?.recordStored(name),
    },
  });
  movement = createMovement({ ...options, plane });
  return {
    files: plane.files,
    movement,
    handlers: plane.handlers,
    chunkReads: () => plane.chunks.counters(),
  };
}
