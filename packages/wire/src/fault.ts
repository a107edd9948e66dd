import type { Fault } from '@sallyport/core';
import type { Dialect } from './endpoint.ts';

/** The `type` a dialect gives an error, by HTTP status. Clients choose what to retry by it; `code` is the stable name. */
export function errorType(dialect: Dialect, status: number): string {
  const types = dialect === 'anthropic' ? ANTHROPIC_TYPES : OPENAI_TYPES;
  return types.get(status) ?? (status >= 500 ? types.get(500) : types.get(400)) ?? 'server_error';
}

/** As OpenAI's API and the servers that follow it name them. */
const OPENAI_TYPES: ReadonlyMap<number, string> = new Map([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [429, 'rate_limit_error'],
  [500, 'server_error'],
]);

/** https://docs.anthropic.com/en/api/errors */
const ANTHROPIC_TYPES: ReadonlyMap<number, string> = new Map([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [500, 'api_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
]);

/**
 * A fault as a client of the dialect expects it. Only the message, the code and the field go out; `detail` never does. `param` is in
 * the message too, so dialects without such a field lose nothing.
 */
export function renderFault(dialect: Dialect, fault: Fault, requestId: string): { readonly status: number; readonly body: string } {
  const { code, message, param, status } = fault;
  const type = errorType(dialect, status);
  switch (dialect) {
    case 'openai':
      return { status, body: JSON.stringify({ error: { message, type, param, code } }) };
    case 'anthropic':
      return { status, body: JSON.stringify({ type: 'error', error: { type, message, code }, request_id: requestId }) };
    case 'ollama':
      return { status, body: JSON.stringify({ error: message, code }) };
  }
}
