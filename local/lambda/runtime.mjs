// What Lambda's own bootstrap is to a function: runs inside the worker thread of one execution environment, with
// the function's environment variables and nothing of this project loaded. Plain JavaScript, because a thread that
// first had to load a TypeScript compiler would start ten times slower than the function itself.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** `Handler` names a file without its extension; Lambda tries these in this order. */
const EXTENSIONS = ['.js', '.mjs', '.cjs'];

async function loadHandler() {
  const { codeDirectory, handler } = workerData;
  const dot = handler.lastIndexOf('.');
  const base = join(codeDirectory, handler.slice(0, dot));
  for (const extension of EXTENSIONS) {
    const file = `${base}${extension}`;
    if (!(await stat(file).catch(() => undefined))?.isFile()) continue;
    const module = await import(pathToFileURL(file).href);
    const name = handler.slice(dot + 1);
    const found = module[name] ?? module.default?.[name];
    if (typeof found !== 'function') throw new TypeError(`${handler} is undefined or not exported`);
    return found;
  }
  throw new Error(`Cannot find module '${base}'`);
}

function describe(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

const loading = loadHandler();
loading.then(
  () => parentPort.postMessage({ kind: 'ready' }),
  (error) => parentPort.postMessage({ kind: 'failedToLoad', error: describe(error) }),
);

parentPort.on('message', async ({ id, payload, context, deadlineMs }) => {
  try {
    const handler = await loading;
    process.env['_X_AMZN_TRACE_ID'] = context.traceId;
    const result = await handler(JSON.parse(payload), {
      ...context,
      getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
    });
    parentPort.postMessage({ kind: 'returned', id, payload: JSON.stringify(result ?? null) });
  } catch (error) {
    const description = describe(error);
    // Lambda writes an unhandled error to the function's log itself.
    process.stderr.write(
      `${new Date().toISOString()}\t${id}\tERROR\tInvoke Error\t${JSON.stringify(description)}\n`,
    );
    parentPort.postMessage({ kind: 'threw', id, error: description });
  }
});
