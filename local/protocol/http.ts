/** One HTTP request as the endpoint hands it over: the body read completely, its size bounded by the endpoint. */
export interface HttpRequest {
  readonly method: string;
  /** Path with query string, as sent. */
  readonly url: string;
  /** Names in lower case, as Node gives them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}
