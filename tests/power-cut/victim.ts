import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashName } from '../../domain/file-key.ts';
import { DiskStore } from '../../node/store/disk-store.ts';
import {
  contentOf,
  type FromVictim,
  isDelete,
  NAME_COUNT,
  nameAt,
  type Progress,
  recordOf,
} from './workload.ts';

/**
 * One life of a store: opens what the last power cut left, checks it against what was acknowledged, then uploads,
 * replaces and deletes until the next cut takes it away.
 */
const [directory = '', progressJson = '{}'] = process.argv.slice(2);
const progress: Progress = JSON.parse(progressJson);

function tell(message: FromVictim): void {
  process.send?.(message);
}

const store = await DiskStore.open({ directory });

async function checkName(i: number): Promise<{ readonly found: number; readonly problems: string[] }> {
  const name = nameAt(i);
  const acknowledged = progress.acknowledged[i] ?? 0;
  const record = store.getRecord(name);
  const found = record?.version.counter ?? 0;
  const problems: string[] = [];
  if (found < acknowledged)
    problems.push(`${name}: acknowledged version ${acknowledged} is lost, found ${found}`);
  if (found > (progress.tried[i] ?? 0)) problems.push(`${name}: version ${found} was never written`);
  if (record !== undefined && !record.deleted) {
    const bytes = await store.readChunk({ key: hashName(name), uploadId: record.uploadId, index: 0 });
    if (bytes === undefined) problems.push(`${name}: version ${found} has a record and no content`);
    else if (!contentOf(name, found).equals(bytes))
      problems.push(`${name}: version ${found} has wrong bytes`);
  }
  return { found, problems };
}

/** What people see in the folder is whole as well: some version that was written, every byte of it. */
function checkFolder(): string[] {
  return readdirSync(join(directory, 'files')).flatMap((name) => {
    const bytes = readFileSync(join(directory, 'files', name));
    const tried = progress.tried[Number(/\d+/.exec(name)?.[0])] ?? 0;
    const versions = Array.from({ length: tried }, (_, version) => version + 1);
    const isWhole = versions.some((version) => !isDelete(version) && contentOf(name, version).equals(bytes));
    return isWhole ? [] : [`files/${name} shows ${bytes.byteLength} bytes that nobody wrote`];
  });
}

async function write(i: number, version: number): Promise<void> {
  const name = nameAt(i);
  tell({ kind: 'tried', name: i, version });
  const record = recordOf(name, version);
  if (!record.deleted) {
    const { sizeBytes, sha256 } = record;
    const id = { key: hashName(name), uploadId: record.uploadId, index: 0 };
    await store.putChunk({ ...id, name, sizeBytes, sha256 }, contentOf(name, version));
  }
  const before = store.getRecord(name);
  await store.putRecord(record);
  tell({ kind: 'acknowledged', name: i, version });
  if (record.deleted) await store.hideFile(name);
  else await store.exposeFile(record);
  if (before !== undefined && !before.deleted) {
    await store.removeChunk({ key: hashName(name), uploadId: before.uploadId, index: 0 });
  }
}

const names = Array.from({ length: NAME_COUNT }, (_, i) => i);
const checked = await Promise.all(names.map(checkName));
const leftovers = readdirSync(join(directory, 'tmp')).map((name) => `tmp/${name} was left`);
const problems = [...checked.flatMap((each) => each.problems), ...leftovers, ...checkFolder()];
tell({ kind: 'opened', problems, found: checked.map(({ found }) => found) });

/** Eight uploads at once, each on names of its own, as fast as they go. */
const WRITERS = 8;
await Promise.all(
  Array.from({ length: WRITERS }, async (_, writer) => {
    const versions = checked.map(({ found }, i) => Math.max(found, progress.tried[i] ?? 0));
    for (;;) {
      for (let i = writer; i < NAME_COUNT; i += WRITERS) {
        versions[i] = (versions[i] ?? 0) + 1;
        await write(i, versions[i] ?? 0);
      }
    }
  }),
).catch(() => undefined);
// The disk is gone; the parent ends this process.
setInterval(() => undefined, 1_000);
