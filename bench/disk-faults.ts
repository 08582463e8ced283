/**
 * What disks do to running nodes: bytes that rot, a volume that is full, one that fails. Real processes, real file systems.
 *
 * `npm run campaign:disk-faults -- [--network 127.35.0] [--keep]`; needs root, loop devices and xfsprogs.
 */
import { parseArgs } from 'node:util';
import { DiskFaults } from './disk-faults/disk-faults.ts';
import { mountSmall, mountXfs, unmount } from './disk-faults/volumes.ts';
import { Fleet } from './fleet/fleet.ts';

const { values } = parseArgs({
  options: {
    network: { type: 'string', default: '127.35.0' },
    keep: { type: 'boolean', default: false },
  },
});
/** The first four nodes have the machine's own disk. */
const XFS_NODE = 4;
const SMALL_MIB = 96;

const checks: boolean[] = [];
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const check = (what: string, holds: boolean): void => {
  checks.push(holds);
  say(`${holds ? 'holds' : 'FAILS'}: ${what}`);
};

async function main(): Promise<boolean> {
  const mounted: string[] = [];
  const fleet = await Fleet.open({
    network: values.network,
    prepareDisk: (directory, n) => {
      if (n < XFS_NODE) return;
      if (n === XFS_NODE) mountXfs(directory, 400);
      else mountSmall(directory, SMALL_MIB);
      mounted.push(directory);
    },
  });
  try {
    await fleet.grow(4);
    const faults = new DiskFaults({ fleet, say, check });
    await faults.rotInChunks();
    await faults.rotInRecords();
    const newcomer = await faults.rotIsNotCopiedOn();
    await faults.diskFails(newcomer);
    await faults.disksAreFull();
  } finally {
    if (values.keep) say(`disks and logs are in ${fleet.folder}`);
    await fleet.stop({ keep: true });
    for (const directory of mounted) unmount(directory);
    if (!values.keep) fleet.removeFolder();
  }
  const failed = checks.filter((holds) => !holds).length;
  process.stdout.write(`${checks.length - failed} passed, ${failed} failed\n`);
  return failed === 0;
}

process.exitCode = (await main()) ? 0 : 1;
