import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type InstanceFacts, metadataAt } from './metadata-paths.ts';

/** AWS's bound on a token's life, seconds. */
const MAX_TOKEN_TTL_S = 21_600;
/** Tokens of one instance at a time; the oldest is forgotten first. SDKs keep one each. */
const MAX_TOKENS = 1_000;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The instance metadata service of one instance: version 2 only, as the template requires of EC2. */
export class MetadataServer {
  private readonly facts: InstanceFacts;
  private readonly tokens = new Map<string, number>();
  private readonly server: Server;
  /** A silent service accepts connections and never answers, as a machine in trouble does. */
  isSilent = false;

  constructor(facts: InstanceFacts) {
    this.facts = facts;
    this.server = createServer((request, response) => this.serve(request, response));
    this.server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** @throws the listen error of Node, for example EADDRINUSE. */
  async listen(address: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, address, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (this.isSilent) return;
    const { status, body, headers = {} } = this.reply(request);
    // As on EC2, one request a connection: nobody is left with one that was closed while they looked away.
    const fixed = { 'content-type': 'text/plain', server: 'EC2ws', connection: 'close' };
    response.writeHead(status, { ...fixed, ...headers }).end(body);
  }

  private reply(request: IncomingMessage): Reply {
    const { method, url = '/' } = request;
    if (method === 'PUT' && url === '/latest/api/token') return this.issueToken(request);
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'Method Not Allowed' };
    const token = request.headers['x-aws-ec2-metadata-token'];
    if (typeof token !== 'string' || (this.tokens.get(token) ?? 0) < Date.now()) {
      return { status: 401, body: 'Unauthorized' };
    }
    const path = pathBelowLatest(url);
    const body = path === undefined ? undefined : metadataAt(this.facts, path);
    return body === undefined ? { status: 404, body: 'Not Found' } : { status: 200, body };
  }

  private issueToken({ headers }: IncomingMessage): Reply {
    // A forwarded request comes from a proxy that an attacker may have talked into it: refused on EC2 as well.
    if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: 'Forbidden' };
    const text = headers['x-aws-ec2-metadata-token-ttl-seconds'];
    const seconds = typeof text === 'string' && /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (seconds < 1 || seconds > MAX_TOKEN_TTL_S) return { status: 400, body: 'Bad Request' };
    const token = randomBytes(32).toString('base64url');
    this.tokens.set(token, Date.now() + seconds * 1000);
    const [oldest] = this.tokens.keys();
    if (this.tokens.size > MAX_TOKENS && oldest !== undefined) this.tokens.delete(oldest);
    return {
      status: 200,
      body: token,
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(seconds) },
    };
  }
}

function pathBelowLatest(url: string): string | undefined {
  const [path = ''] = url.split('?');
  const match = /^\/(?:latest|\d{4}-\d{2}-\d{2})\/(.*)$/.exec(path);
  try {
    return match === null ? undefined : decodeURIComponent(match[1] ?? '');
  } catch {
    return undefined;
  }
}
