import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { type Account, openAccount } from '../../local/account.ts';
import { inventory } from '../../local/inventory.ts';
import { Running } from '../../local/running.ts';
import { findNodes, type NodeAddress } from '../../plugins/node-bundle/first-steps.ts';

/**
 * One walk through everything, in a real account: deploy, upload, fill, watch it grow, empty it, watch it shrink,
 * remove, list what is left. Costs some cents and takes about an hour, most of it waiting for alarms and cooldowns.
 *
 *   npm run smoke -- 203.0.113.7/32     your own address, which alone is let in
 *   npm run smoke -- --local            the same against the local cloud, in half an hour: deleted bytes go after 20 minutes
 *
 * With AWS_ENDPOINT_URL set it goes to that endpoint instead; an emulator that boots no instances gets as far as the
 * first upload.
 */
const STAGE = 'smoke';
const GROUP = `chordfs-${STAGE}`;
const PIECE_BYTES = 16 * 2 ** 20;
const POLL_MS = 5_000;
const GROWTH_LONGEST_MS = 30 * 60_000;
/** The low-water alarm looks at half an hour. */
const SHRINK_LONGEST_MS = 90 * 60_000;
const LOCAL_TIME_SCALE = 20;

const isLocal = process.argv.includes('--local');
const clientCidr = process.argv.slice(2).find((word) => word.includes('/'));
const say = (line: string): void => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);

/** Runs a program with its output shown. @throws Error when it fails. */
async function shown(program: string, ...parameters: readonly string[]): Promise<void> {
  say(`$ ${[program, ...parameters].join(' ')}`);
  const child = spawn(program, parameters, { stdio: 'inherit' });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`);
}

async function serving(): Promise<readonly NodeAddress[]> {
  const clients = { autoScaling: new AutoScalingClient({}), ec2: new EC2Client({}) };
  const nodes = await findNodes(clients, GROUP, () => say('waiting for a node'));
  return nodes.filter(({ lifecycleState }) => lifecycleState === 'InService');
}

async function untilSize(isRight: (size: number) => boolean, longestMs: number): Promise<void> {
  const deadline = Date.now() + longestMs;
  for (let last = -1; ; await delay(POLL_MS)) {
    const { length: size } = await serving();
    if (size !== last) say(`${size} nodes in service`);
    last = size;
    if (isRight(size)) return;
    if (Date.now() > deadline) throw new Error(`still ${size} nodes after ${longestMs / 60_000} minutes`);
  }
}

const url = ({ publicIp }: NodeAddress, name: string): string => `http://${publicIp}:5058/${name}`;

/** Whether there was room for it. A full node answers 507 and hangs up while the rest is still on its way to it. */
async function upload(node: NodeAddress, name: string, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const answer = await fetch(url(node, name), { method: 'PUT', body }).catch((error: unknown) => {
    say(`upload of ${name} cut off: ${error instanceof Error ? String(error.cause ?? error) : ''}`);
    return undefined;
  });
  if (answer !== undefined && !answer.ok && answer.status !== 507)
    throw new Error(`upload of ${name}: status ${answer.status}`);
  return answer?.ok === true;
}

/** Uploads until there is no more room, waits for growth, reads everything back, deletes it, and waits for the group to shrink. */
async function growAndShrink(first: NodeAddress): Promise<void> {
  const content = new Map<string, Buffer<ArrayBuffer>>();
  for (let i = 0; (await serving()).length < 2; i++) {
    const [name, body] = [`piece-${i}.bin`, randomBytes(PIECE_BYTES)];
    if (!(await upload(first, name, body))) break;
    content.set(name, body);
  }
  await untilSize((size) => size >= 2, GROWTH_LONGEST_MS);
  say(
    `grown with ${content.size} pieces of ${PIECE_BYTES / 2 ** 20} MiB; reading all of them through every node`,
  );
  for (const node of await serving()) {
    for (const [name, body] of content) {
      const read = Buffer.from(await (await fetch(url(node, name))).arrayBuffer());
      if (!read.equals(body)) throw new Error(`${name} through ${node.instanceId}: other bytes`);
    }
  }
  for (const name of content.keys()) await fetch(url(first, name), { method: 'DELETE' });
  say('deleted; the group shrinks when the disks have been nearly empty for half an hour');
  await untilSize((size) => size === 1, SHRINK_LONGEST_MS);
}

/** Deploys, tries, and removes whatever happened in between. */
async function walk(settings: readonly string[]): Promise<void> {
  const parameters = settings.flatMap((setting) => ['--param', setting]);
  try {
    await shown('npx', 'sls', 'deploy', '--stage', STAGE, ...parameters);
    const [first] = await serving();
    if (first?.publicIp === undefined) {
      say(
        'no node with a public address is in service: this endpoint boots no instances, so nothing more can be tried',
      );
      return;
    }
    await growAndShrink(first);
  } finally {
    await shown('npx', 'sls', 'remove', '--stage', STAGE);
  }
}

const running = new Running();
let local: Account | undefined;
try {
  if (!isLocal && clientCidr === undefined)
    throw new Error('say who is let in: npm run smoke -- YOUR.ADDRESS/32');
  const settings = ['desiredCapacity=1', 'maxSize=3', 'volumeSizeGiB=1', 'scaleIn=true'];
  if (isLocal) {
    const options = {
      volumeSizeBytes: 256 * 2 ** 20,
      timeScale: LOCAL_TIME_SCALE,
      directory: undefined,
      port: 0,
    };
    local = await openAccount(options, running);
    const { endpoint, region } = local;
    const variables = { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_ACCESS_KEY_ID: 'local' };
    Object.assign(process.env, variables, { AWS_SECRET_ACCESS_KEY: 'local' });
    // This machine runs the nodes.
    const architecture = process.arch === 'arm64' ? 'arm64' : 'x86_64';
    settings.push(`timeScale=${LOCAL_TIME_SCALE}`, `architecture=${architecture}`);
  } else {
    settings.push(`clientCidr=${clientCidr}`);
  }
  await walk(settings);
  say('what is left of it, which should be nothing:');
  if (local === undefined) {
    const python = existsSync('.venv/bin/python') ? '.venv/bin/python' : 'python3';
    await shown(python, 'tests/smoke/inventory.py', GROUP);
  } else say(JSON.stringify(await inventory(local)));
  say('done');
} finally {
  await running.stop();
}
