import { readFileSync, writeFileSync } from 'node:fs';

/** What the kernel says a process holds of memory, files that it has mapped included. MB. */
export interface Memory {
  readonly nowMb: number;
  readonly peakMb: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_000);
  return { nowMb: mb('VmRSS'), peakMb: mb('VmHWM') };
}

/** From now on the peak counts anew. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
