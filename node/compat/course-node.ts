import { type Identifier, isIdentifier } from '../../domain/identifier.ts';
import { textOf } from '../rpc/rpc-message.ts';

/** A node as the course's protocol knows one; on the wire `[ip, port, id]`. */
export interface CourseNode {
  readonly ip: string;
  readonly port: number;
  readonly id: Identifier;
}

const MAX_ADDRESS_LENGTH = 45;
const MAX_PORT = 65_535;

/** Undefined for anything that is no node one could call, the course's "unknown" (`ip` empty) included. */
export function courseNodeFrom(wire: unknown): CourseNode | undefined {
  if (!Array.isArray(wire) || wire.length !== 3) return undefined;
  const [address, port, id] = wire as unknown[];
  const ip = textOf(address);
  if (ip === undefined || ip.length === 0 || ip.length > MAX_ADDRESS_LENGTH) return undefined;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > MAX_PORT) return undefined;
  return isIdentifier(id) ? { ip, port, id } : undefined;
}

export function courseNodeToWire({ ip, port, id }: CourseNode): unknown {
  return [ip, port, id];
}

export const UNKNOWN_NODE = ['', 0, 0] as const;

export function isSameNode(a: CourseNode, b: CourseNode): boolean {
  return a.ip === b.ip && a.port === b.port;
}

export function nodeKey({ ip, port }: CourseNode): string {
  return `${ip}:${port}`;
}
