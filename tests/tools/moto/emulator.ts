import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pythonProgram } from '../programs.ts';

const START_LONGEST_MS = 60_000;
const POLL_MS = 100;
/** What moto does not know of Auto Scaling; answered in its place, and written down. */
const REFRESH_ACTIONS = ['StartInstanceRefresh', 'CancelInstanceRefresh', 'DescribeInstanceRefreshes'];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** moto's server with a proxy in front, which passes everything on but the calls for instance refreshes. */
export class Emulator {
  readonly url: string;
  /** Requests for instance refreshes, by their parameters as the Query protocol has them. */
  readonly refreshRequests: URLSearchParams[] = [];
  private readonly moto: ChildProcess;
  private readonly proxy: Server;

  private constructor(moto: ChildProcess, motoPort: number, proxy: Server) {
    this.moto = moto;
    this.proxy = proxy;
    this.url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    proxy.on('request', (incoming, outgoing) => {
      this.handle(motoPort, incoming, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
    });
  }

  static async start(): Promise<Emulator> {
    const port = await freePort();
    const moto = spawn(pythonProgram('moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
      stdio: 'ignore',
    });
    const deadline = Date.now() + START_LONGEST_MS;
    while (!(await answers(port))) {
      if (Date.now() > deadline || moto.exitCode !== null) throw new Error('moto_server does not start');
      await delay(POLL_MS);
    }
    const proxy = createServer().listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    return new Emulator(moto, port, proxy);
  }

  async stop(): Promise<void> {
    this.proxy.closeAllConnections();
    this.proxy.close();
    if (this.moto.exitCode === null) {
      this.moto.kill();
      await once(this.moto, 'exit');
    }
  }

  private async handle(motoPort: number, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const parameters = new URLSearchParams(body.length < 10_000 ? body.toString('latin1') : '');
    const action = parameters.get('Action') ?? '';
    if (REFRESH_ACTIONS.includes(action)) {
      this.answerRefresh(action, parameters, outgoing);
      return;
    }
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port: motoPort, method, path, headers }).end(body);
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  }

  private answerRefresh(action: string, parameters: URLSearchParams, outgoing: ServerResponse): void {
    outgoing.setHeader('content-type', 'text/xml');
    if (action === 'CancelInstanceRefresh') {
      outgoing.statusCode = 400;
      outgoing.end(
        '<ErrorResponse><Error><Type>Sender</Type><Code>ActiveInstanceRefreshNotFound</Code><Message>none</Message></Error></ErrorResponse>',
      );
      return;
    }
    if (action === 'StartInstanceRefresh') this.refreshRequests.push(parameters);
    outgoing.end(
      `<${action}Response><${action}Result><InstanceRefreshId>r</InstanceRefreshId></${action}Result></${action}Response>`,
    );
  }
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  );
}
