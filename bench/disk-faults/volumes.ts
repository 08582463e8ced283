import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';

/** Small file systems for single nodes. Needs root, and for `brokenVolume` loop devices and xfsprogs. */

function run(command: string, ...parameters: readonly string[]): void {
  execFileSync(command, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
}

export function mountSmall(directory: string, sizeMib: number): void {
  run('mount', '-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', directory);
}

/** An XFS in a file beside the folder, which `shutDown` can break under a running node. */
export function mountXfs(directory: string, sizeMib: number): void {
  const image = `${directory}.img`;
  writeFileSync(image, '');
  truncateSync(image, sizeMib * 2 ** 20);
  run('mkfs.xfs', '-q', '-f', image);
  run('mount', '-o', 'loop', image, directory);
}

/** From now on every read that is not cached, every write and every flush fails with EIO. */
export function shutDown(directory: string): void {
  run('xfs_io', '-x', '-c', 'shutdown', directory);
}

export function unmount(directory: string): void {
  run('umount', directory);
}
