import type { CloudEvent } from '../local/cloud.ts';

/** What of before and after differs, as `name old -> new`; what was not there before is just told. */
function changes(before: unknown, after: unknown): string {
  const old = asRecord(before);
  const current = asRecord(after);
  return [...new Set([...Object.keys(old), ...Object.keys(current)])]
    .filter((name) => JSON.stringify(old[name]) !== JSON.stringify(current[name]))
    .map((name) =>
      old[name] === undefined
        ? `${name} ${show(current[name])}`
        : `${name} ${show(old[name])} -> ${show(current[name])}`,
    )
    .join(', ');
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function show(value: unknown): string {
  if (value === undefined) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** An event's text comes from outside: a terminal must never obey what it says. */
function printable(text: string): string {
  return text.replace(/\p{C}+/gu, ' ');
}

const twoDigits = (part: number): string => String(part).padStart(2, '0');

function clockTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return '--:--:--';
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':');
}

/** The day of an event where its reader lives; '' when it has no time. */
export function localDay(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return '';
  return [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-');
}

/** Of nearly all names of what there is to tell. */
const WHAT_WIDTH = 20;
/** Where the reason begins on a terminal: below what happened, right of when. */
const INDENT = ' '.repeat(10);
/** Below this nothing is gained by breaking lines ourselves. */
const NARROWEST = 40;

/** One event of the scaling log for a person: when (local time), what, to whom, before -> after, why. */
export function scalingLogLine(event: CloudEvent): string {
  const { what, why } = partsOf(event);
  return why === '' ? what : `${what}  (${why})`;
}

/**
 * The same for a terminal of `width` columns: what happened on one line, why on the next ones, broken between words. Without
 * a width it is one line, as whoever searches with other tools wants it.
 */
export function scalingLogLines(event: CloudEvent, width: number | undefined): readonly string[] {
  if (width === undefined || width < NARROWEST) return [scalingLogLine(event)];
  const { what, why } = partsOf(event);
  const room = width - INDENT.length;
  const [first = '', ...rest] = what.length > width ? broken(what, room) : [what];
  return [first, ...[...rest, ...(why === '' ? [] : broken(why, room))].map((line) => INDENT + line)];
}

function partsOf(event: CloudEvent): { readonly what: string; readonly why: string } {
  const { instanceId, cause, before, after } = event.detail;
  const parts = [
    clockTime(event.time),
    event['detail-type'].padEnd(WHAT_WIDTH),
    typeof instanceId === 'string' ? instanceId : '',
    changes(before, after),
  ];
  return {
    what: printable(parts.filter((part) => part !== '').join('  ')).trimEnd(),
    why: typeof cause === 'string' ? printable(cause).trim() : '',
  };
}

function broken(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
