import { Fault } from '@sallyport/core';

/**
 * Why a caller was not identified: the whole vocabulary of `Fault.detail` of what this package throws meanwhile, so that it can label a
 * metric and an audit entry. A client sees less (docs/api-keys.md).
 */
export const AUTHENTICATION_REASONS = [
  'repeated-header',
  'two-credentials',
  'hop-by-hop-credential',
  'missing',
  'oversize',
  'scheme',
  'malformed',
  'bad-checksum',
  'unknown',
  'wrong-secret',
  'expired',
  'revoked',
  'address',
  'issuer',
  'audience',
  'algorithm',
  'type',
  'signing-key',
  'signature',
  'not-yet-valid',
  'lifetime',
  'claims',
  'binding',
  'jwks-unavailable',
  'certificate-unknown',
  'certificate-conflict',
] as const;

export type AuthenticationReason = (typeof AUTHENTICATION_REASONS)[number];

/** One message for every key that is well formed and not accepted, so that it cannot be learnt whether an id exists. */
const KEY_NOT_ACCEPTED = 'The API key is not valid.';
const TOKEN_NOT_ACCEPTED = 'The bearer token is not accepted.';

/** A request that says in two ways who sends it. `header` is its lower-case name. */
export function refuseRequest(reason: AuthenticationReason, header: string, message: string): Fault {
  return new Fault('invalid_request', message, { param: header, detail: reason });
}

/** A refusal whose message may say what is wrong, because it is seen from the credential alone or tells nobody anything new. */
export function refuse(reason: AuthenticationReason, message: string, cause?: unknown): Fault {
  return new Fault('invalid_api_key', message, cause === undefined ? { detail: reason } : { detail: reason, cause });
}

/** A refusal of a well-formed API key: the reason is for the operator only. */
export function refuseKey(reason: AuthenticationReason): Fault {
  return refuse(reason, KEY_NOT_ACCEPTED);
}

/** A refusal of a token: the reason is for the operator only. */
export function refuseToken(reason: AuthenticationReason, cause?: unknown): Fault {
  return refuse(reason, TOKEN_NOT_ACCEPTED, cause);
}
