import { nodeAt, plainCluster } from './cluster.ts';
import { filesContract } from './contract.ts';

for (const count of [1, 2, 3, 5]) {
  filesContract(`${count} nodes over an in-memory network`, async () => {
    const { nodes } = await plainCluster(count);
    let turn = 0;
    return { any: () => nodeAt(nodes, turn++).plane.files, close: async () => undefined };
  });
}
