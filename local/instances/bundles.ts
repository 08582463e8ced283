import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import type { NodeBundle } from '../compute.ts';

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/**
 * Unpacked node bundles, one folder per checksum, so that many instances of one version share it. Like the boot
 * script on EC2 it refuses an archive whose checksum is not the one the template names.
 */
export class Bundles {
  private readonly directory: string;
  private readonly unpacking = new Map<string, Promise<string>>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** The folder with the bundle's `main.mjs`. @throws Error naming the archive, when it is missing or damaged. */
  unpack(bundle: NodeBundle): Promise<string> {
    let folder = this.unpacking.get(bundle.sha256);
    if (folder === undefined) {
      folder = this.unpackOnce(bundle);
      this.unpacking.set(bundle.sha256, folder);
      folder.catch(() => this.unpacking.delete(bundle.sha256));
    }
    return folder;
  }

  private async unpackOnce({ sha256, path }: NodeBundle): Promise<string> {
    const target = join(this.directory, sha256);
    const isThere = await stat(join(target, 'main.mjs')).then(
      () => true,
      () => false,
    );
    if (isThere) return target;
    const actual = await sha256Of(path);
    if (actual !== sha256)
      throw new Error(`the node bundle ${path} has the checksum ${actual}, not ${sha256}`);
    // Unpacked beside its place and moved there whole: an interrupted start leaves nothing half done behind.
    const temporary = `${target}.${process.pid}.tmp`;
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await extract({ file: path, cwd: temporary, strict: true });
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    return target;
  }
}
