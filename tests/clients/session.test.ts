import { afterEach, expect, test } from 'vitest';
import { type UpDependencies, up } from '../../clients/up/session.ts';
import type { Cloud, CloudEvent, CloudOptions } from '../../local/cloud.ts';

const OPTIONS: CloudOptions = {
  desired: 1,
  min: 1,
  max: 2,
  volumeSizeBytes: 2 ** 28,
  threshold: 70,
  timeScale: 20,
  directory: undefined,
  port: 0,
};
const NODE = { instanceId: 'i-1', id: '00000000', privateIp: '127.10.0.11', publicIp: '127.0.0.11' };

function event(id: string): CloudEvent {
  return { id, time: '2026-11-22T17:00:00Z', source: 's', 'detail-type': 'Member Joined', detail: {} };
}

function deferred() {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise;
    reject = rejectPromise;
  });
  return { promise, resolve, reject };
}

/** A cloud that becomes ready when the test says so. */
class FakeCloud implements Cloud {
  readonly endpoint = 'http://127.0.0.1:1';
  readonly region = 'r';
  readonly autoScalingGroupName = 'g';
  readonly busName = 'b';
  readonly tableName = 't';
  readonly listeners: ((event: CloudEvent) => void)[] = [];
  stops = 0;
  readonly ready = deferred();

  nodes = () => Promise.resolve([NODE]);
  whenReady = async (signal: AbortSignal): Promise<void> => {
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    await Promise.race([this.ready.promise, aborted]);
  };
  onScalingEvent = (listener: (event: CloudEvent) => void): (() => void) => {
    this.listeners.push(listener);
    return () => undefined;
  };
  stop = (): Promise<void> => {
    this.stops++;
    return Promise.resolve();
  };
  emit(id: string): void {
    for (const listener of this.listeners) listener(event(id));
  }
}

function prepare(overrides: Partial<UpDependencies> = {}) {
  const cloud = new FakeCloud();
  const stop = new AbortController();
  const printed: string[] = [];
  const progress: string[] = [];
  const dependencies: UpDependencies = {
    projectDirectory: '/project',
    terminalWidth: undefined,
    secrets: {},
    startCloud: () => Promise.resolve(cloud),
    ensurePackaged: () => Promise.resolve(),
    print: (line) => printed.push(line),
    progress: (line) => progress.push(line),
    stopSignal: stop.signal,
    ...overrides,
  };
  stops.push(stop);
  return { cloud, stop, printed, progress, dependencies };
}
const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

test('with --json the ready line comes first, then every event, those from before it included', async () => {
  const { cloud, stop, printed, dependencies } = prepare();
  const running = up({ cloud: OPTIONS, json: true }, dependencies);
  await expect.poll(() => cloud.listeners.length).toBe(1);
  cloud.emit('early');
  expect(printed).toEqual([]);
  cloud.ready.resolve();
  await expect.poll(() => printed.length).toBe(2);
  cloud.emit('late');
  stop.abort();
  await running;

  const [ready, ...events] = printed.map((line) => JSON.parse(line));
  expect(ready).toMatchObject({ ready: true, nodes: [NODE] });
  expect(events.map(({ id }) => id)).toEqual(['early', 'late']);
  expect(cloud.stops).toBe(1);
});

test('for people it shows the nodes, what to try, and a line for each event', async () => {
  const { cloud, stop, printed, progress, dependencies } = prepare();
  const running = up({ cloud: OPTIONS, json: false }, dependencies);
  cloud.ready.resolve();
  await expect.poll(() => printed.at(-1)).toBe('Scaling log:');
  cloud.emit('late');
  stop.abort();
  await running;

  expect(progress[0]).toContain('Starting the cloud with 1 instances');
  expect(printed.join('\n')).toContain('i-1       00000000  127.10.0.11  127.0.0.11');
  expect(printed.join('\n')).toContain('python3 /project/clients/upload.py /project/README.md 127.0.0.11');
  expect(printed.at(-1)).toMatch(/Member Joined$/);
});

test('interrupted before the cloud is ready it stops what was started and is no failure', async () => {
  const { cloud, stop, printed, dependencies } = prepare();
  const running = up({ cloud: OPTIONS, json: true }, dependencies);
  await expect.poll(() => cloud.listeners.length).toBe(1);
  stop.abort();
  await running;
  expect(cloud.stops).toBe(1);
  expect(printed).toEqual([]);
});

test('a cloud that fails after its start is stopped, and the failure told', async () => {
  const { cloud, printed, dependencies } = prepare();
  cloud.ready.reject(new Error('instances keep failing'));
  await expect(up({ cloud: OPTIONS, json: true }, dependencies)).rejects.toThrow('instances keep failing');
  expect(cloud.stops).toBe(1);
  expect(printed).toEqual([]);
});

test('neither a failed package nor a failed start is passed over', async () => {
  const noPackage = prepare({ ensurePackaged: () => Promise.reject(new Error('no package')) });
  await expect(up({ cloud: OPTIONS, json: false }, noPackage.dependencies)).rejects.toThrow('no package');
  const portTaken = prepare({ startCloud: () => Promise.reject(new Error('port 4566 is taken')) });
  await expect(up({ cloud: OPTIONS, json: false }, portTaken.dependencies)).rejects.toThrow('is taken');
});
