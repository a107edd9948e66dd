/** HTTP status by stable fault code. The codes are a public contract (docs/api.md); a new one needs a row here and there. */
export const FAULT_STATUS = {
  invalid_request: 400,
  content_blocked: 400,
  invalid_api_key: 401,
  forbidden: 403,
  model_not_allowed: 403,
  not_found: 404,
  model_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  request_too_large: 413,
  unsupported_media_type: 415,
  expectation_failed: 417,
  concurrency_exceeded: 429,
  quota_exceeded: 429,
  rate_limit_exceeded: 429,
  headers_too_large: 431,
  client_closed_request: 499,
  internal_error: 500,
  upstream_error: 502,
  upstream_unavailable: 503,
  not_ready: 503,
  upstream_timeout: 504,
} as const;

export type FaultCode = keyof typeof FAULT_STATUS;

export interface FaultOptions {
  /** The request field at fault, as a path the client wrote: `messages[2].content`. */
  readonly param?: string;
  /** Whole seconds for `retry-after`. */
  readonly retryAfter?: number;
  /** For the operator's log only; never sent to a client. Must not hold text of a prompt or a reply. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/**
 * An exchange that ended without an answer. `message` may be read by the client, `detail` only by the operator.
 * A `TypeError` or any other error is a defect of ours, never a client's doing.
 */
export class Fault extends Error {
  override readonly name: string = 'Fault';
  readonly code: FaultCode;
  readonly status: number;
  readonly param: string | null;
  readonly retryAfter: number | null;
  readonly detail: string | null;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = FAULT_STATUS[code];
    this.param = options.param ?? null;
    this.retryAfter = options.retryAfter ?? null;
    this.detail = options.detail ?? null;
  }
}
