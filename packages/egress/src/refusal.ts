/** Why a connection was not made. */
export type EgressReason =
  /** The configuration names no such host. */
  | 'host'
  /** The host is, or resolves to, an address that is private or special and not named. */
  | 'address'
  /** The answer sends the caller elsewhere. */
  | 'redirect'
  /** The proxy made no tunnel. */
  | 'proxy'
  /** The answer is larger than the caller takes. */
  | 'size';

/** `code` as Node's errors have one, so that callers sort it like any other failure of a connection. */
export class EgressRefused extends Error {
  override readonly name: string = 'EgressRefused';
  readonly reason: EgressReason;
  readonly code: string;

  /** `message` is for the operator: it names the host as configured and the key to change. */
  constructor(reason: EgressReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.code = `ERR_EGRESS_${reason.toUpperCase()}`;
  }
}
