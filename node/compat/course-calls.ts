import { setTimeout as pause } from 'node:timers/promises';
import { ChordfsError } from '../../domain/errors.ts';
import type { Identifier } from '../../domain/identifier.ts';
import { OPEN_LIMITS } from '../rpc/connection-limits.ts';
import { evidenceOf } from '../rpc/peer-evidence.ts';
import { RpcConnection } from '../rpc/rpc-connection.ts';
import { type CourseNode, courseNodeFrom, courseNodeToWire, isSameNode, nodeKey } from './course-node.ts';

const CONNECT_TIMEOUT_MS = 250;
/** A frozen neighbour costs two of these before it is given up. */
const CALL_TIMEOUT_MS = 400;
/** A lookup goes on through others, each of which may have to route around somebody. */
const LOOKUP_TIMEOUT_MS = 1_500;
/** Between the two attempts after which a node counts as dead. */
const PROBE_PAUSE_MS = 100;
/** Connections kept. Raised: fewer reconnects in a ring of more nodes. Lowered: fewer file descriptors. */
const MAX_CONNECTIONS = 128;

/** Calls to other nodes, of either kind, by the course's methods alone. One connection to each, kept open. */
export class CourseCalls {
  readonly #onLost: (node: CourseNode) => void;
  /** Least recently used first. */
  readonly #connections = new Map<string, Promise<RpcConnection>>();
  #isClosed = false;

  /** @param onLost An established connection broke, which a dying process does: look at it. */
  constructor(onLost: (node: CourseNode) => void) {
    this.#onLost = onLost;
  }

  /** The node itself, if it is still the one meant. */
  async info(node: CourseNode): Promise<CourseNode | undefined> {
    const found = courseNodeFrom(await this.#call(node, 'get_info', [], CALL_TIMEOUT_MS));
    return found !== undefined && isSameNode(found, node) ? found : undefined;
  }

  async findSuccessor(node: CourseNode, id: Identifier): Promise<CourseNode | undefined> {
    return courseNodeFrom(await this.#call(node, 'find_successor', [id], LOOKUP_TIMEOUT_MS));
  }

  async predecessor(node: CourseNode): Promise<CourseNode | undefined> {
    return courseNodeFrom(await this.#call(node, 'get_predecessor', [], CALL_TIMEOUT_MS));
  }

  async successor(node: CourseNode, index: 0 | 1 | 2): Promise<CourseNode | undefined> {
    return courseNodeFrom(await this.#call(node, 'get_successor', [index], CALL_TIMEOUT_MS));
  }

  async notify(node: CourseNode, self: CourseNode): Promise<void> {
    await this.#call(node, 'notify', [courseNodeToWire(self)], CALL_TIMEOUT_MS);
  }

  /** Whether it answers: asked twice before the answer is no. An answer with an error is an answer. */
  async isAlive(node: CourseNode): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.info(node)) !== undefined;
      } catch (error) {
        const evidence = evidenceOf(error);
        // Trouble of our own, such as too many calls at once, says nothing about that node.
        if (evidence === undefined || evidence === 'local') return true;
        if (attempt > 0) return false;
        await pause(PROBE_PAUSE_MS);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections.values()) void closeQuietly(connection);
    this.#connections.clear();
  }

  async #call(
    node: CourseNode,
    method: string,
    params: readonly unknown[],
    timeoutMs: number,
  ): Promise<unknown> {
    // A round of maintenance may still be under way; a connection opened now would outlive the node.
    if (this.#isClosed) throw new ChordfsError('NODE_DRAINING');
    const connection = await this.#connection(node);
    return connection.call(method, params, { timeoutMs });
  }

  #connection(node: CourseNode): Promise<RpcConnection> {
    const key = nodeKey(node);
    const connection = this.#connections.get(key) ?? this.#open(node, key);
    // Taken out and put back: last in the map is the one used last.
    this.#connections.delete(key);
    this.#connections.set(key, connection);
    return connection;
  }

  #open(node: CourseNode, key: string): Promise<RpcConnection> {
    const forget = (): boolean => this.#connections.get(key) === opening && this.#connections.delete(key);
    const opening: Promise<RpcConnection> = RpcConnection.open({
      host: node.ip,
      port: node.port,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      limits: OPEN_LIMITS,
      onClose: () => {
        if (forget() && !this.#isClosed) this.#onLost(node);
      },
    });
    opening.catch(forget);
    this.#makeRoom();
    return opening;
  }

  #makeRoom(): void {
    const [oldest] = this.#connections;
    if (this.#connections.size < MAX_CONNECTIONS || oldest === undefined) return;
    this.#connections.delete(oldest[0]);
    void closeQuietly(oldest[1]);
  }
}

async function closeQuietly(connection: Promise<RpcConnection>): Promise<void> {
  try {
    (await connection).close();
  } catch {
    // It never opened.
  }
}
