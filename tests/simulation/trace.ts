import type { ChordEvent } from '../../node/chord/event.ts';

/** One event as a line of a trace. */
export function describeEvent(event: ChordEvent): string {
  switch (event.kind) {
    case 'received':
      return `received ${JSON.stringify(event.request, shorten)}`;
    case 'answered':
      return `answered ${event.callId} ${JSON.stringify(event.answer, shorten)}`;
    case 'failed':
      return `failed ${event.callId} ${event.evidence}`;
    case 'commanded':
      return `commanded ${event.command.kind}`;
    default:
      return JSON.stringify(event, shorten);
  }
}

/** Members as `i-3/2`: a trace is read by people. */
function shorten(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('instanceId' in value) || !('incarnation' in value)) {
    return value;
  }
  const phase = 'phase' in value ? `:${String(value.phase)}` : '';
  return `${String(value.instanceId)}/${String(value.incarnation)}${phase}`;
}
