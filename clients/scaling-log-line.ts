import type { CloudEvent } from '../local/cloud.ts';

/** What of before and after differs, as `name old -> new`. */
function changes(before: unknown, after: unknown): string {
  const old = asRecord(before);
  const current = asRecord(after);
  return [...new Set([...Object.keys(old), ...Object.keys(current)])]
    .filter((name) => JSON.stringify(old[name]) !== JSON.stringify(current[name]))
    .map((name) => `${name} ${show(old[name])} -> ${show(current[name])}`)
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

function clockTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return '--:--:--';
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** One event of the scaling log for a person: when (local time), what, to whom, before -> after, why. */
export function scalingLogLine(event: CloudEvent): string {
  const { instanceId, cause, before, after } = event.detail;
  const parts = [
    clockTime(event.time),
    event['detail-type'].padEnd(20),
    typeof instanceId === 'string' ? instanceId : '',
    changes(before, after),
    typeof cause === 'string' ? `(${cause})` : '',
  ];
  return printable(parts.filter((part) => part !== '').join('  ')).trimEnd();
}
