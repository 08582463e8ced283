import { createFileServer } from '../node/http/file-server.ts';
import { listen } from '../node/http/listen.ts';
import { DiskStore } from '../node/store/disk-store.ts';
import { plainCluster } from '../tests/files/cluster.ts';

/** One node's file server over a disk store, in a ring of its own: what `bench/http.ts` measures. */
const [directory = '', address = '127.23.0.2'] = process.argv.slice(2);
const store = await DiskStore.open({ directory });
const { nodes } = await plainCluster(1, () => store);
const [node] = nodes;
if (node === undefined) throw new Error('no node');
const app = createFileServer({
  files: node.plane.files,
  status: () => ({ isHealthy: true, isReady: true, reasons: [], facts: {} }),
});
const server = await listen(app.callback(), { addresses: [address], port: 0 });
process.stdout.write(`${JSON.stringify(server.endpoints[0])}\n`);
process.once('SIGTERM', async () => {
  await server.close(1_000);
  await store.close();
});
