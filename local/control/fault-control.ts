import { z } from 'zod';
import type { ComputeFaults } from '../compute-faults.ts';
import type { Faults } from '../faults.ts';
import type { HttpRequest, HttpResponse } from '../protocol/http.ts';
import { type Applied, FAULT_REQUESTS, isFaultKind } from './fault-requests.ts';

export const FAULTS_PATH = '/_chordfs/local/faults';

/** Lifted faults stay listed for whoever wonders what happened; the oldest are forgotten beyond this many. */
const MOST_LISTED = 1_000;

interface Listed {
  readonly id: string;
  readonly kind: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly applied: Applied;
  isLifted: boolean;
}

/**
 * The faults of the local cloud over HTTP, for people at its endpoint: POST puts one in force, GET lists them, DELETE
 * takes one back. Only bodies that say they are JSON are taken: a page in a browser cannot send those from elsewhere.
 */
export class FaultControl {
  readonly #what: { readonly faults: Faults; readonly compute: ComputeFaults };
  readonly #listed: Listed[] = [];
  #lastId = 0;

  constructor(faults: Faults, compute: ComputeFaults) {
    this.#what = { faults, compute };
  }

  serve(request: HttpRequest): HttpResponse {
    const { pathname, searchParams } = new URL(request.url, 'http://local');
    const id = pathname.slice(FAULTS_PATH.length + 1);
    try {
      if (request.method === 'GET' && id === '') return json(200, this.#listed.map(view));
      if (request.method === 'POST' && id === '') return this.#apply(request);
      if (request.method === 'DELETE' && id !== '')
        return this.#lift(id, searchParams.get('order') === 'reversed' ? 'reversed' : 'asHeld');
      return json(405, { error: 'GET, POST, or DELETE with the id of a fault' });
    } catch (error) {
      const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      return json(400, { error: message });
    }
  }

  #apply(request: HttpRequest): HttpResponse {
    if (!/^application\/json\b/.test(String(request.headers['content-type']))) {
      return json(415, { error: 'the body must be application/json' });
    }
    const { kind, ...body } = JSON.parse(Buffer.from(request.body).toString('utf8')) as Record<
      string,
      unknown
    >;
    if (!isFaultKind(kind)) {
      return json(400, { error: `kind must be one of ${Object.keys(FAULT_REQUESTS).join(', ')}` });
    }
    const applied = FAULT_REQUESTS[kind].apply(body, this.#what);
    this.#lastId += 1;
    const listed = { id: String(this.#lastId), kind, request: body, applied, isLifted: false };
    this.#listed.push(listed);
    if (this.#listed.length > MOST_LISTED) this.#listed.shift();
    return json(201, view(listed));
  }

  #lift(id: string, order: 'asHeld' | 'reversed'): HttpResponse {
    const listed = this.#listed.find((candidate) => candidate.id === id);
    if (listed === undefined) return json(404, { error: `there is no fault ${id}` });
    if (!listed.isLifted) listed.applied.lift?.(order);
    listed.isLifted = true;
    return json(200, view(listed));
  }
}

function view({ id, kind, request, applied, isLifted }: Listed) {
  return {
    id,
    kind,
    ...request,
    hits: applied.hits?.(),
    isInForce: !isLifted && applied.lift !== undefined,
  };
}

function json(status: number, body: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: `${JSON.stringify(body, undefined, 1)}\n`,
  };
}
