import { Fault, type FaultCode } from '@sallyport/core';

/** A failed attempt: the fault the client may see, and whether another attempt could do better. */
export interface Failure {
  readonly fault: Fault;
  /** True where no byte of an answer had arrived, so that asking again cannot answer twice. */
  readonly retriable: boolean;
  /** True where the failure says something about the upstream's health. */
  readonly unhealthy: boolean;
}

interface Rule {
  readonly code: 'upstream_unavailable' | 'upstream_timeout' | 'upstream_error';
  readonly message: string;
  readonly retriable: boolean;
}

const UNREACHABLE: Rule = { code: 'upstream_unavailable', message: 'The model server cannot be reached at the moment.', retriable: true };
const UNTRUSTED: Rule = { code: 'upstream_unavailable', message: 'The model server could not be verified.', retriable: false };
const SLOW: Rule = { code: 'upstream_timeout', message: 'The model server did not answer in time.', retriable: false };
const BROKEN: Rule = { code: 'upstream_error', message: 'The model server sent an answer that could not be read.', retriable: false };

/** By `error.code` of Node's sockets and TLS (nodejs.org/api/errors, OpenSSL verify codes) and of undici (docs/api/Errors). */
const RULES: ReadonlyMap<string, Rule> = new Map([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ENOENT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
    'UND_ERR_SOCKET',
    'UND_ERR_CLOSED',
    'UND_ERR_DESTROYED',
    'ERR_EGRESS_PROXY',
  ].map((code) => [code, UNREACHABLE] as const),
  ...['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'].map(
    (code) => [code, { ...SLOW, code: 'upstream_unavailable', retriable: true } as Rule] as const,
  ),
  ...['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'].map((code) => [code, SLOW] as const),
  ...['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'].map(
    (code) => [code, BROKEN] as const,
  ),
]);

/** Failures before a byte of a request was sent. */
const NEVER_ARRIVED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_EGRESS_PROXY',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
]);

/** Whether a failure of this code came before anything of a request, so that nothing a caller sent can be why. */
export function neverArrived(code: string): boolean {
  return NEVER_ARRIVED.has(code) || isTlsCode(code);
}

/** A server is away, slow, broken, or has no slot free. */
const HELPED_BY_ANOTHER: ReadonlySet<FaultCode> = new Set([
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_error',
  'concurrency_exceeded',
]);

/** Whether another server could do what this one has not. */
export function anotherMayHelp(fault: Fault): boolean {
  return HELPED_BY_ANOTHER.has(fault.code);
}

/** Turns what a socket, TLS or undici threw into a `Failure`. The original error goes to the log by its code, never to the client. */
export function describeFailure(error: Error, answered: boolean): Failure {
  if (error instanceof Fault) return { fault: error, retriable: false, unhealthy: error.code === 'upstream_timeout' };
  const code = errorCode(error);
  const rule = RULES.get(code) ?? (isTlsCode(code) ? UNTRUSTED : BROKEN);
  const fault = new Fault(rule.code, answered && rule === UNREACHABLE ? 'The model server broke off its answer.' : rule.message, {
    detail: code,
    cause: error,
  });
  return { fault, retriable: rule.retriable && !answered, unhealthy: true };
}

function errorCode(error: Error): string {
  // A failed connection to a name with several addresses arrives as an AggregateError without a code of its own.
  const inner = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = 'code' in inner ? inner.code : undefined;
  return typeof code === 'string' ? code : inner.name;
}

function isTlsCode(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_SALLYPORT_PIN|ERR_EGRESS_)/.test(code) || code === 'EPROTO';
}
