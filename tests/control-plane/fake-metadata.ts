import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance metadata service (version 2) with settable leaves; refuses requests without a valid token. */
export class FakeMetadata {
  readonly leaves = new Map<string, string>([
    ['instance-id', 'i-1'],
    ['local-ipv4', '127.25.0.11'],
    ['placement/availability-zone', 'us-east-1a'],
  ]);
  tokensGiven = 0;
  /** How many requests it fails to answer before it works. */
  failuresLeft = 0;
  #validToken = '';
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? '';
      if (this.failuresLeft > 0) {
        this.failuresLeft -= 1;
        response.destroy();
        return;
      }
      if (request.method === 'PUT' && path === '/latest/api/token') {
        this.tokensGiven += 1;
        this.#validToken = `token-${this.tokensGiven}`;
        response.end(this.#validToken);
        return;
      }
      if (request.headers['x-aws-ec2-metadata-token'] !== this.#validToken) {
        response.writeHead(401).end();
        return;
      }
      const value = this.leaves.get(path.replace('/latest/meta-data/', ''));
      response.writeHead(value === undefined ? 404 : 200).end(value);
    });
  }

  static async start(): Promise<FakeMetadata> {
    const metadata = new FakeMetadata();
    metadata.#server.listen(0, '127.0.0.1');
    await once(metadata.#server, 'listening');
    return metadata;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** As after a restart of the service: tokens given before are worth nothing. */
  forgetTokens(): void {
    this.#validToken = 'none';
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
