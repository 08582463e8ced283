import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dispatch } from '../../local/protocol/dispatch.ts';
import type { Caller, Service } from '../../local/service.ts';

/** Services behind a real HTTP server on a free port, as the endpoint mounts them. */
export async function mounted(
  services: readonly Service[],
  callers: (accessKeyId: string) => Caller = (accessKeyId) => ({ accessKeyId, roleArn: undefined }),
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = 'GET', url = '/', headers } = request;
    const answer = await dispatch({ method, url, headers, body: Buffer.concat(chunks) }, services, callers);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Configuration of a real SDK client against such a server. */
export const clientOptions = (endpoint: string) => ({
  endpoint,
  region: 'us-east-1',
  maxAttempts: 1,
  credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
});
