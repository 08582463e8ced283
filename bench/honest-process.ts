/** Honest callers in a process of their own, so that their times are the server's and not the attacker's. */
import { callHonestly, type HonestRecord, type Target } from './hostile-callers.ts';

const CALLERS = 4;

const record: HonestRecord = { latenciesMs: [], failures: [] };
let isOver = false;
let callers: Promise<void>[] = [];

process.on('message', (order: { readonly target?: Target; readonly stop?: true }) => {
  const { target } = order;
  if (target !== undefined) {
    callers = Array.from({ length: CALLERS }, () => callHonestly(target, { isOver: () => isOver, record }));
    return;
  }
  isOver = true;
  void Promise.all(callers).then(() => process.send?.(record, () => process.disconnect()));
});
