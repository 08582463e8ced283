import { filesContract } from './contract.ts';
import { FakeFiles } from './fake-files.ts';

filesContract('the fake in memory', async () => {
  const files = new FakeFiles();
  return { any: () => files, close: async () => undefined };
});
