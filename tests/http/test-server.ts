import { acceptsHead } from '../../node/http/basic-auth.ts';
import { createFileServer, type FileServerOptions } from '../../node/http/file-server.ts';
import { type ListeningServer, type ListenOptions, listen } from '../../node/http/listen.ts';
import { FakeFiles } from '../files/fake-files.ts';
import { BOUNDARY, exchange, type FormPart, form, formHead, type RawResponse } from './raw-http.ts';

const HOST = '127.23.0.1';

export interface TestServer {
  readonly files: FakeFiles;
  readonly url: string;
  readonly at: { readonly host: string; readonly port: number };
  readonly server: ListeningServer;
  readonly lines: readonly string[];
  readonly bugs: readonly unknown[];
  /** A request without a client's help: what is sent is what is written here. */
  send(
    bytes: readonly (string | Uint8Array)[],
    options?: { readonly end?: boolean },
  ): Promise<RawResponse | undefined>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<RawResponse>;
  request(
    method: string,
    path: string,
    headers?: Readonly<Record<string, string>>,
    body?: Uint8Array,
  ): Promise<RawResponse>;
  upload(
    parts: readonly FormPart[],
    options?: { readonly method?: string; readonly headers?: string },
  ): Promise<RawResponse>;
  close(): Promise<void>;
}

export async function startTestServer(
  options: Partial<FileServerOptions> = {},
  listenOptions: Partial<ListenOptions> = {},
): Promise<TestServer> {
  const files = new FakeFiles();
  const lines: string[] = [];
  const bugs: unknown[] = [];
  const app = createFileServer({
    files,
    options: { log: (line) => lines.push(line), onBug: (error) => bugs.push(error), ...options },
    status: () => ({
      isHealthy: true,
      isReady: false,
      reasons: ['joining the ring'],
      facts: { phase: 'joining' },
    }),
  });
  const server = await listen(app.callback(), {
    addresses: [HOST],
    port: 0,
    mayContinue: acceptsHead(options),
    ...listenOptions,
  });
  const port = server.endpoints[0]?.port ?? 0;
  const at = { host: HOST, port };
  const answered = async (bytes: readonly (string | Uint8Array)[]) => {
    const response = await exchange(at, bytes);
    if (response === undefined) throw new Error('the server closed without an answer');
    return response;
  };
  const headerLines = (headers: Readonly<Record<string, string>>) =>
    Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
  const request: TestServer['request'] = (method, path, headers = {}, body) => {
    const length = body === undefined ? '' : `Content-Length: ${body.byteLength}\r\n`;
    const head = `${method} ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n${length}${headerLines(headers)}\r\n`;
    return answered(body === undefined ? [head] : [head, body]);
  };
  return {
    files,
    url: `http://${HOST}:${port}`,
    at,
    server,
    lines,
    bugs,
    send: (bytes, sending) => exchange(at, bytes, sending),
    get: (path, headers) => request('GET', path, headers),
    request,
    upload: (parts, { method = 'POST', headers = '' } = {}) => {
      const body = form(parts);
      return answered([formHead('/upload', body.byteLength, headers).replace('POST', method), body]);
    },
    close: () => server.close(0),
  };
}

export { BOUNDARY, form, formHead };
