import { createServer } from 'node:net';
import { CHORD_PORT, HTTP_PORT } from '../../domain/node-environment.ts';

/** Where every instance's metadata service listens, on its private address. */
export const METADATA_PORT = 1338;
/** First three octets of instances' private addresses, unless told otherwise. */
export const DEFAULT_PRIVATE_PREFIX = '127.10.0';

/** The two addresses of one instance. */
export interface InstanceAddresses {
  readonly privateIp: string;
  /** '' for an instance that has none. */
  readonly publicIp: string;
}

/** An address or port the instance needs is not to be had; the message says what to do about it. */
export class AddressUnavailable extends Error {
  override readonly name = 'AddressUnavailable';
}

function advice(code: string | undefined, address: string, port: number, platform: string): string {
  if (code === 'EADDRINUSE') {
    return `port ${port} on ${address} is taken by another program: stop it (find it with \`lsof -nP -iTCP@${address}:${port}\`), or the other local cloud that runs on this machine`;
  }
  if (code === 'EADDRNOTAVAIL' && platform === 'darwin') {
    return `this machine does not have the address ${address}: add it with \`sudo ifconfig lo0 alias ${address} up\``;
  }
  if (code === 'EADDRNOTAVAIL') {
    return `this machine does not have the address ${address}: add it to the loopback interface, for example with \`sudo ip addr add ${address}/8 dev lo\``;
  }
  return `port ${port} on ${address} cannot be used: ${code ?? 'unknown error'}`;
}

/**
 * Takes a port for a moment, to see whether an instance could.
 * @throws AddressUnavailable
 */
async function checkPort(address: string, port: number, platform: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: address, port, exclusive: true }, resolve);
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AddressUnavailable(advice(code, address, port, platform), { cause });
  }
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/**
 * Whether an instance could listen where it has to.
 * @throws AddressUnavailable for the first address that cannot be bound.
 */
export async function checkAddresses(
  { privateIp, publicIp }: InstanceAddresses,
  platform: string = process.platform,
): Promise<void> {
  for (const port of [CHORD_PORT, HTTP_PORT]) {
    await checkPort(privateIp, port, platform);
    if (publicIp !== '') await checkPort(publicIp, port, platform);
  }
  await checkPort(privateIp, METADATA_PORT, platform);
}

/** Host numbers end where a last octet does. */
const LAST_OCTET = 254;

/** Addresses by instance number; the lowest free number is given next. */
export class AddressPool {
  private readonly firstHost: number;
  private readonly privatePrefix: string;
  private readonly publicPrefix: string;

  constructor(options: {
    readonly firstHost: number;
    readonly privatePrefix: string;
    readonly publicPrefix: string;
  }) {
    this.firstHost = options.firstHost;
    this.privatePrefix = options.privatePrefix;
    this.publicPrefix = options.publicPrefix;
  }

  addressesOf(instanceNumber: number): InstanceAddresses {
    const host = this.firstHost + instanceNumber;
    return { privateIp: `${this.privatePrefix}.${host}`, publicIp: `${this.publicPrefix}.${host}` };
  }

  /** Undefined when all are taken. Numbers start at 1. */
  lowestFree(taken: ReadonlySet<number>): number | undefined {
    for (let number = 1; this.firstHost + number <= LAST_OCTET; number++) {
      if (!taken.has(number)) return number;
    }
    return undefined;
  }
}
