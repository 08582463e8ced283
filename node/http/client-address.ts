import type { Context } from 'koa';

/** Whose transfers take turns with those of others: the address, for that is all that we know of everybody. */
export function clientAddress({ req }: Context): string {
  return req.socket.remoteAddress ?? '';
}
