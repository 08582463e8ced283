import type { Middleware } from 'koa';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** As in uploadserver's log: `22/Nov/2026 11:13:57`, local time. */
export function formatLogTime(ms: number): string {
  const date = new Date(ms);
  const day = `${twoDigits(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  return `${day} ${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}`;
}

/** A request line goes into the log as it came, and must not be able to end the log's line or colour a terminal. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** One line per request, in the shape that people parse from uploadserver's log. */
export function accessLog(log: (line: string) => void): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } finally {
      const { method, url, httpVersion } = ctx.req;
      const request = printable(`${method} ${url} HTTP/${httpVersion}`);
      log(`${ctx.ip} - - [${formatLogTime(Date.now())}] "${request}" ${ctx.status} -`);
    }
  };
}
