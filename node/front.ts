import type { Middleware } from 'koa';
import { ChordfsError } from '../domain/errors.ts';
import { HTTP_PORT } from '../domain/node-environment.ts';
import type { Files } from './files/files.ts';
import { acceptsHead } from './http/basic-auth.ts';
import { createFileServer } from './http/file-server.ts';
import { type ListeningServer, listen } from './http/listen.ts';
import type { ServerSettings } from './http/server-settings.ts';
import type { StatusReport } from './http/status-routes.ts';
import type { MemberKey } from './http/tls-port.ts';
import { describeError, type Log } from './log.ts';

/** What stands behind the HTTP surface at one time: nothing while the node boots, then one membership's data plane. */
export interface Behind {
  readonly files: Files;
  readonly peerRouter: Middleware;
  /** With TLS: what members of this ring open it with. */
  readonly memberKey: MemberKey;
}

export interface FrontOptions {
  readonly addresses: readonly string[];
  readonly settings: ServerSettings;
  readonly status: () => StatusReport;
  readonly log: Log;
  /** One access log line. */
  readonly access: (line: string) => void;
}

/**
 * The HTTP surface, open from the first moment of the process to its last, so that a probe or a client always gets an
 * answer: until the node is in a ring, and after it has left, that answer is 503 with `Retry-After`.
 */
export class Front {
  readonly #server: ListeningServer;
  readonly #setBehind: (behind: Behind | undefined) => void;

  static async open({ addresses, settings, status, log, access }: FrontOptions): Promise<Front> {
    let behind: Behind | undefined;
    const files = (): Files => {
      if (behind === undefined) throw new ChordfsError('NODE_NOT_READY');
      return behind.files;
    };
    const app = createFileServer({
      files: {
        stage: async (...args) => await files().stage(...args),
        open: async (...args) => await files().open(...args),
        delete: async (...args) => await files().delete(...args),
        list: async (...args) => await files().list(...args),
        receipt: async (...args) => await files().receipt(...args),
      },
      options: {
        ...settings.options,
        ...(settings.hasAccessLog ? { log: access } : {}),
        onBug: (error) => log('error', 'request failed by a bug', describeError(error)),
      },
      status,
      peerRouter: async (ctx, next) => {
        if (behind !== undefined) return await behind.peerRouter(ctx, next);
        ctx.status = 503;
        ctx.body = { error: 'NODE_NOT_READY' };
      },
    });
    const handle = app.callback();
    const server = await listen((request, response) => void handle(request, response), {
      addresses,
      port: HTTP_PORT,
      tls: settings.tls,
      memberKey: () => behind?.memberKey,
      mayContinue: acceptsHead(settings.options),
    });
    return new Front(server, (next) => {
      behind = next;
    });
  }

  private constructor(server: ListeningServer, setBehind: (behind: Behind | undefined) => void) {
    this.#server = server;
    this.#setBehind = setBehind;
  }

  /** From now on requests are served by this; undefined: by nobody. Requests under way keep what they began with. */
  serve(behind: Behind | undefined): void {
    this.#setBehind(behind);
  }

  /** See `ListeningServer.retire`: until it resolves, requests on open connections are served by what stands behind. */
  async retire(limits: Parameters<ListeningServer['retire']>[0]): Promise<void> {
    await this.#server.retire(limits);
  }

  async close(graceMs: number): Promise<void> {
    await this.#server.close(graceMs);
  }
}
