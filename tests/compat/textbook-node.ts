import { type Identifier, identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import { courseIdentifier } from '../../node/compat/course-identifier.ts';
import { RpcConnection } from '../../node/rpc/rpc-connection.ts';
import { RpcMethods } from '../../node/rpc/rpc-methods.ts';
import { RpcServer } from '../../node/rpc/rpc-server.ts';

type Wire = [ip: string, port: number, id: number];

/**
 * Stands in for the course's compiled node: textbook Chord, the eight methods and nothing else, a fresh connection
 * for every call, and as fragile: it is gone on `get_successor` beyond 2 and on any method it does not know.
 */
export class TextbookNode {
  readonly self: Wire;
  readonly #server: RpcServer;
  readonly #intervalMs: number;
  #predecessor: Wire = ['', 0, 0];
  #successors: Wire[];
  #timer: NodeJS.Timeout | undefined;
  died: string | undefined;

  constructor(ip: string, port: number, intervalMs: number) {
    this.self = [ip, port, courseIdentifier(ip, port)];
    this.#successors = [this.self];
    this.#intervalMs = intervalMs;
    const methods = new RpcMethods();
    methods.addOpen('get_info', () => this.self);
    methods.addOpen('create', () => null);
    methods.addOpen('join', async ([contact]) => {
      this.#successors = [(await call(contact as Wire, 'find_successor', this.self[2])) as Wire];
      return null;
    });
    methods.addOpen('find_successor', ([id]) => this.#findSuccessor(identifier(id as number)));
    methods.addOpen('get_predecessor', () => this.#predecessor);
    methods.addOpen('get_successor', ([i]) => {
      if ((i as number) > 2) this.#die(`get_successor(${String(i)})`);
      return this.#successors[i as number] ?? this.#successors.at(-1);
    });
    methods.addOpen('notify', ([by]) => {
      const node = by as Wire;
      const isCloser =
        this.#predecessor[0] === '' ||
        inOpenArc(identifier(node[2]), identifier(this.#predecessor[2]), identifier(this.self[2]));
      if (isCloser) this.#predecessor = node;
      return null;
    });
    const find = methods.find.bind(methods);
    methods.find = (name, session) => {
      const handler = find(name, session);
      if (handler === undefined) this.#die(name);
      return handler;
    };
    this.#server = new RpcServer({ methods });
  }

  async start(): Promise<void> {
    await this.#server.listen(this.self[0], this.self[1]);
    this.#timer = setInterval(() => void this.#stabilize().catch(() => undefined), this.#intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#server.close();
  }

  #die(reason: string): void {
    this.died ??= reason;
  }

  async #findSuccessor(id: Identifier): Promise<unknown> {
    const [successor = this.self] = this.#successors;
    if (inArc(id, identifier(this.self[2]), identifier(successor[2]))) return successor;
    return call(successor, 'find_successor', id);
  }

  async #stabilize(): Promise<void> {
    const [successor = this.self] = this.#successors;
    try {
      const between = (await call(successor, 'get_predecessor')) as Wire;
      const isBetween =
        between[0] !== '' &&
        inOpenArc(identifier(between[2]), identifier(this.self[2]), identifier(successor[2]));
      const next = isBetween ? between : successor;
      const rest = [await call(next, 'get_successor', 0), await call(next, 'get_successor', 1)] as Wire[];
      this.#successors = [next, ...rest];
      await call(next, 'notify', this.self);
    } catch {
      this.#successors = this.#successors.length > 1 ? this.#successors.slice(1) : [this.self];
    }
    if (this.#predecessor[0] === '') return;
    await call(this.#predecessor, 'get_info').catch(() => {
      this.#predecessor = ['', 0, 0];
    });
  }
}

async function call([host, port]: Wire, method: string, ...params: unknown[]): Promise<unknown> {
  const connection = await RpcConnection.open({ host, port, connectTimeoutMs: 500 });
  try {
    return await connection.call(method, params, { timeoutMs: 2_000 });
  } finally {
    connection.close();
  }
}
