const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Bytes meant by `256MiB`, `1.5 GB` or `1048576`; undefined for anything else. Units may be in any case. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = UNITS[(match?.[2] ?? '?').toUpperCase()];
  if (match === null || factor === undefined) return undefined;
  const sizeBytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

const STEPS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** For a person: `512 B`, `1.5 MiB`, `256 MiB`. */
export function showByteSize(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  const power = Math.min(STEPS.length, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)} ${STEPS[power - 1]}`;
}
