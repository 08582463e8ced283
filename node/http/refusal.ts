/**
 * A request that is refused by the rules of HTTP rather than by the state of the ring. `reason` becomes the status
 * line's text, as uploadserver's clients know it; `advice` tells a person what to do.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly reason: string;
  readonly advice: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    {
      reason,
      advice,
      headers,
    }: { reason: string; advice: string; headers?: Readonly<Record<string, string>> },
  ) {
    super(reason);
    this.status = status;
    this.reason = reason;
    this.advice = advice;
    this.headers = headers ?? {};
  }
}

export function fileNotFound(): Refusal {
  return new Refusal(404, {
    reason: 'File not found',
    advice: 'There is no file of this name. Names are case-sensitive; the list of all files is at /.',
  });
}
