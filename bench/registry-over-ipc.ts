import type { ChildProcess } from 'node:child_process';
import type { MemoryRegistry } from '../node/ring/memory-registry.ts';
import type { AdmissionLease, Registry } from '../node/ring/registry.ts';

/** A member table in the bench's own process, shared with its node processes over their IPC channels. */

type Method = keyof Registry;
interface RegistryCall {
  readonly registryCall: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}
interface RegistryReply {
  readonly registryReply: number;
  readonly ok: boolean;
  readonly value: unknown;
}

function isCall(message: unknown): message is RegistryCall {
  return typeof message === 'object' && message !== null && 'registryCall' in message;
}

function isReply(message: unknown): message is RegistryReply {
  return typeof message === 'object' && message !== null && 'registryReply' in message;
}

/** The bench's side, once for each child. */
export function serveRegistry(registry: MemoryRegistry, child: ChildProcess): void {
  child.on('message', (message: unknown) => {
    if (!isCall(message)) return;
    const { registryCall, method, args } = message;
    const run = registry[method].bind(registry) as (...args: readonly unknown[]) => Promise<unknown>;
    run(...args).then(
      (value) => reply(child, { registryReply: registryCall, ok: true, value }),
      (error: unknown) => reply(child, { registryReply: registryCall, ok: false, value: String(error) }),
    );
  });
}

function reply(child: ChildProcess, message: RegistryReply): void {
  // It may have been killed since it asked.
  if (child.connected) child.send(message, () => undefined);
}

/** The child's side. */
export class IpcRegistry implements Registry {
  readonly #waiting = new Map<number, (reply: RegistryReply) => void>();
  #nextId = 0;

  constructor() {
    process.on('message', (message: unknown) => {
      if (!isReply(message)) return;
      this.#waiting.get(message.registryReply)?.(message);
      this.#waiting.delete(message.registryReply);
    });
  }

  liveMembers(signal: AbortSignal): ReturnType<Registry['liveMembers']> {
    return this.#call('liveMembers', [], signal);
  }

  acquireAdmission(
    holder: Parameters<Registry['acquireAdmission']>[0],
    signal: AbortSignal,
  ): Promise<AdmissionLease | undefined> {
    return this.#call('acquireAdmission', [holder], signal);
  }

  renewAdmission(
    holder: Parameters<Registry['renewAdmission']>[0],
    lease: AdmissionLease,
    signal: AbortSignal,
  ): Promise<AdmissionLease | undefined> {
    return this.#call('renewAdmission', [holder, lease], signal);
  }

  releaseAdmission(
    holder: Parameters<Registry['releaseAdmission']>[0],
    lease: AdmissionLease,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#call('releaseAdmission', [holder, lease], signal);
  }

  voteDead(vote: Parameters<Registry['voteDead']>[0], signal: AbortSignal): Promise<'noted' | 'dead'> {
    return this.#call('voteDead', [vote], signal);
  }

  arbitrate(claim: Parameters<Registry['arbitrate']>[0], signal: AbortSignal): Promise<'won' | 'lost'> {
    return this.#call('arbitrate', [claim], signal);
  }

  #call<T>(method: Method, args: readonly unknown[], signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#nextId += 1;
      const id = this.#nextId;
      const giveUp = (): void => {
        this.#waiting.delete(id);
        reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.set(id, ({ ok, value }) => {
        signal.removeEventListener('abort', giveUp);
        if (ok) resolve(value as T);
        else reject(new Error(String(value)));
      });
      process.send?.({ registryCall: id, method, args } satisfies RegistryCall);
    });
  }
}
