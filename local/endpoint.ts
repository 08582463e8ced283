import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { FAULTS_PATH } from './control/fault-control.ts';
import type { DynamoDb } from './dynamo-db/dynamo-db.ts';
import type { Faults, ServiceFault } from './faults.ts';
import type { ApiCall } from './iam/access.ts';
import type { Authorizer } from './iam/authorizer.ts';
import type { Lambda } from './lambda/lambda.ts';
import { serveLambda } from './lambda/lambda-protocol.ts';
import { dispatch } from './protocol/dispatch.ts';
import type { HttpRequest, HttpResponse } from './protocol/http.ts';
import { type Identity, identify } from './protocol/identify.ts';
import type { S3 } from './s3/s3.ts';
import { serveS3 } from './s3/s3-protocol.ts';
import { AwsError, type Caller, type Service } from './service.ts';

interface EndpointOptions {
  /** On 127.0.0.1; 0 takes any free one. */
  readonly port: number;
  /** All that speak one of AWS's RPC protocols. */
  readonly services: () => readonly Service[];
  readonly callers: (accessKeyId: string) => Caller;
  readonly authorizer: Authorizer;
  readonly dynamoDb: DynamoDb;
  readonly lambda: Lambda;
  readonly s3: S3;
  readonly faults: Faults;
  /** Ends the process of a function or the machine of a node, by the name of its session. */
  readonly killCaller: (session: string) => void;
  /** Serves what is below `/_chordfs/local/faults`. */
  readonly control: (request: HttpRequest) => HttpResponse;
  /** Answer of `GET /_chordfs/local`. */
  readonly state: () => Promise<unknown> | unknown;
  readonly log: (line: string) => void;
  /** Sees every call, before faults and service; for tests that compare calls with roles. */
  readonly onCall?: ((call: EndpointCall) => void) | undefined;
}

export interface EndpointCall {
  readonly service: string;
  readonly operation: string;
  readonly caller: Caller;
}

export interface Endpoint {
  readonly url: string;
  stop(): Promise<void>;
}

/** The largest object is the node bundle with its native modules. */
const MAX_BODY_BYTES = 128 * 1024 * 1024;
/** Idle keep-alive connections close after this long; SDK clients reconnect by themselves. */
const KEEP_ALIVE_MS = 30_000;

class BodyTooLarge extends Error {}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_BODY_BYTES) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** REST services name their operation in method and path; the rest of the routing is the protocols' own. */
function serviceOf(request: HttpRequest, identity: Identity): string {
  if (request.url.startsWith('/2015-03-31/functions')) return 'lambda';
  if (identity.signingName !== undefined) return identity.signingName;
  return identity.operation === undefined ? 's3' : '';
}

function errorResponse(
  fault: ServiceFault & { kind: 'error' },
  { signingName, protocol }: Identity,
): HttpResponse {
  const { code, message, status } = fault;
  if (protocol === 'query' && signingName !== 'dynamodb') {
    const error = `<Code>${code}</Code><Message>${message}</Message>`;
    const isEc2 = signingName === 'ec2';
    const body = isEc2
      ? `<Response><Errors><Error>${error}</Error></Errors><RequestID>${randomUUID()}</RequestID></Response>`
      : `<ErrorResponse><Error><Type>Sender</Type>${error}</Error><RequestId>${randomUUID()}</RequestId></ErrorResponse>`;
    return { status, headers: { 'content-type': 'text/xml' }, body };
  }
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': code };
  return { status, headers, body: JSON.stringify({ __type: code, message }) };
}

/** Of a JSON request; what is no JSON is DynamoDB's to refuse. */
function parsedBody({ body }: HttpRequest): ApiCall['input'] {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(Buffer.from(body).toString('utf8')));
  } catch {
    return {};
  }
}

class EndpointServer {
  readonly #options: EndpointOptions;
  readonly #server: Server;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 60_000 },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          const isClientGone = request.destroyed || response.destroyed;
          if (error instanceof BodyTooLarge || isClientGone || response.headersSent)
            return void request.destroy();
          // Bytes from outside must never end the process, so even a bug only costs its own request.
          const reason = error instanceof Error ? error.message : String(error);
          this.#options.log(`the endpoint failed on ${request.method} ${request.url}: ${reason}`);
          const body = JSON.stringify({ __type: 'InternalFailure', message: reason });
          write(response, { status: 500, headers: { 'content-type': 'application/x-amz-json-1.1' }, body });
        });
      },
    );
  }

  async listen(): Promise<Endpoint> {
    const { port } = this.#options;
    this.#server.listen(port, '127.0.0.1');
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE' && code !== 'EACCES') throw cause;
      const reason = code === 'EADDRINUSE' ? 'is taken by another program' : 'may not be used';
      throw new Error(
        `port ${port} on 127.0.0.1 ${reason}: choose another with --port, or 0 for any free one`,
        { cause },
      );
    }
    const { port: bound } = this.#server.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${bound}`,
      stop: async () => {
        if (!this.#server.listening) return;
        const closed = once(this.#server, 'close');
        this.#server.close();
        this.#server.closeAllConnections();
        await closed;
      },
    };
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = incoming;
    if (method === 'GET' && url === '/_chordfs/local') {
      const body = JSON.stringify(await this.#options.state(), undefined, 1);
      return write(response, { status: 200, headers: { 'content-type': 'application/json' }, body });
    }
    const request: HttpRequest = { method, url, headers, body: await readBody(incoming) };
    if (url.startsWith(FAULTS_PATH)) return write(response, this.#options.control(request));
    const identity = identify(request);
    const service = serviceOf(request, identity);
    const operation = identity.operation ?? '';
    const { accessKeyId } = identity;
    const caller = this.#options.callers(accessKeyId);
    this.#options.onCall?.({ service, operation, caller });

    const { session = '' } = caller;
    const fault = this.#options.faults.calls.meet({ service, operation, accessKeyId, session });
    if (fault?.kind === 'reset') return void incoming.socket.destroy();
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    const answer =
      fault?.kind === 'error'
        ? errorResponse(fault, identity)
        : await this.#route(service, request, identity);
    if (fault?.kind === 'callerDies') this.#options.killCaller(session);
    if (fault?.kind === 'answerLost' || fault?.kind === 'callerDies') return void incoming.socket.destroy();
    write(response, answer);
  }

  async #route(service: string, request: HttpRequest, identity: Identity): Promise<HttpResponse> {
    const { dynamoDb, lambda, s3, services, callers, authorizer } = this.#options;
    const caller = callers(identity.accessKeyId);
    const check = (operation: string, input: ApiCall['input']): void =>
      authorizer.check(caller, { service, operation, input });
    if (service === 'dynamodb') {
      try {
        check(identity.operation ?? '', parsedBody(request));
      } catch (error) {
        if (!(error instanceof AwsError)) throw error;
        const { code, message, status } = error;
        return errorResponse({ kind: 'error', code, message, status }, identity);
      }
      return await dynamoDb.serve(request);
    }
    if (service === 'lambda') return await serveLambda(lambda, request, check);
    if (service === 's3') return await serveS3(s3, request, check);
    return await dispatch(request, services(), callers, (who, call) => authorizer.check(who, call));
  }
}

function write(response: ServerResponse, { status, headers, body }: HttpResponse): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.writeHead(status, {
    'content-length': bytes.byteLength,
    'x-amzn-requestid': randomUUID(),
    ...headers,
  });
  response.end(bytes);
}

/** Opens the one endpoint of all services. @throws Error that says what to do when the port is taken. */
export function openEndpoint(options: EndpointOptions): Promise<Endpoint> {
  return new EndpointServer(options).listen();
}
