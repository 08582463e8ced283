import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { identifier } from '../domain/identifier.ts';
import type { Member } from '../domain/member.ts';
import type { RingMember } from '../domain/replica-placement.ts';
import type { MemoryRegistry } from '../node/ring/memory-registry.ts';
import type { RingCounters } from '../node/ring/ring-node.ts';
import { serveRegistry } from './registry-over-ipc.ts';
import type { MemberOrder } from './ring-member.ts';

const PROGRAM = fileURLToPath(new URL('./ring-member.ts', import.meta.url));

interface ChildMessage {
  readonly id?: number;
  readonly ok?: boolean;
  readonly value?: unknown;
  /** It was replaced and begins anew as this. */
  readonly replaced?: Member;
  /** It has its arc again. */
  readonly active?: Member;
}

/** The bench's hold on one `ring-member.ts` process. */
export class MemberProcess {
  self: Member;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #nextId = 0;

  private constructor(self: Member, child: ChildProcess, registry: MemoryRegistry) {
    this.self = self;
    this.#child = child;
    serveRegistry(registry, child);
    child.on('message', (message: ChildMessage) => {
      if (message.replaced !== undefined) {
        this.self = message.replaced;
        registry.put(message.replaced, 'joining');
      }
      // As a node's own row does: a table that lists it as joining for ever would not agree with the ring any more.
      if (message.active?.incarnation === this.self.incarnation) registry.put(message.active, 'active');
      const waiting = this.#waiting.get(message.id ?? -1);
      if (waiting === undefined) return;
      this.#waiting.delete(message.id ?? -1);
      if (message.ok === true) waiting.resolve(message.value as never);
      else waiting.reject(new Error(String(message.value)));
    });
  }

  /** @param address Of the node, port 5057. Its identifier spreads by a golden-ratio step on `n`. */
  static async start(options: {
    readonly n: number;
    readonly address: string;
    readonly registry: MemoryRegistry;
    readonly clusterKeyHex: string;
    readonly config?: Extract<MemberOrder, { kind: 'open' }>['config'];
  }): Promise<MemberProcess> {
    const self: Member = {
      id: identifier(Math.imul(options.n, 2_654_435_769)),
      instanceId: `i-${options.n}`,
      incarnation: 1,
      privateIp: options.address,
      publicIp: options.address,
      chordPort: 5057,
      httpPort: 5058,
      availabilityZone: 'zone-a',
    };
    const child = fork(PROGRAM, [], {
      execArgv: ['--import', 'tsx', '--expose-gc'],
      serialization: 'advanced',
    });
    const member = new MemberProcess(self, child, options.registry);
    await member.order({
      kind: 'open',
      self,
      clusterKeyHex: options.clusterKeyHex,
      config: options.config ?? {},
    });
    return member;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  order<T = void>(order: MemberOrder): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#nextId += 1;
      this.#waiting.set(this.#nextId, { resolve, reject });
      this.#child.send({ id: this.#nextId, order }, (error) => {
        if (error) reject(error);
      });
    });
  }

  state(): Promise<{ readonly counters: RingCounters; readonly members: readonly RingMember[] }> {
    return this.order({ kind: 'state' });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.isRunning) await once(this.#child, 'exit');
  }
}
