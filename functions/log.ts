/** One JSON object per line on stdout, where Lambda picks it up. Never secrets, never file content. */
export function log(
  level: 'info' | 'warn' | 'error',
  message: string,
  facts: Readonly<Record<string, unknown>> = {},
): void {
  process.stdout.write(`${JSON.stringify({ level, message, ...facts })}\n`);
}
