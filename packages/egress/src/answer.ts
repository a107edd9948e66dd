/** What is sent. */
export interface EgressRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | null;
  /** Milliseconds for the whole exchange. Default 10 s. */
  readonly timeout?: number;
  /** Largest body that is taken, bytes. Default 1 MiB. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
  /** `return` hands a redirection to the caller, whose next request is checked as any other. Default: it is refused. */
  readonly redirect?: 'refuse' | 'return';
}

/** A whole answer, of any status but a redirection that was not asked for. */
export interface EgressAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}
