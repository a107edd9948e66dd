import { extractCredential, readCertificate } from '@sallyport/access';
import { Fault, type Principal, type Snapshot } from '@sallyport/core';
import type { Identified, Received } from './facts.ts';

/**
 * Establishes who calls, and that the caller is not held back for what it did before. A key is checked in memory at once; only a token not
 * seen before waits for its issuer's keys. An address that guesses is held back too, but for callers that prove who they are: they are not
 * to suffer for a neighbour.
 */
export function identify(received: Received): Identified | Promise<Identified> {
  let principal: Principal | Promise<Principal>;
  try {
    principal = authenticate(received);
  } catch (error) {
    return counted(received, error);
  }
  if (!(principal instanceof Promise)) return identified(received, principal);
  return principal.then(
    (known) => identified(received, known),
    (error: unknown) => counted(received, error),
  );
}

function identified(received: Received, principal: Principal): Identified {
  const session = sessionOf(principal, received.snapshot);
  received.compiled.risk.checkCaller(principal, session);
  return { ...received, principal, session };
}

/** The credential as it is now: a token of its own, a key until it is rotated. A fresh one is another session. */
function sessionOf({ tenant, credential }: Principal, { keys }: Snapshot): string {
  const digest = credential.kind === 'api-key' ? `:${keys.get(credential.id)?.digests[0]?.hmac.slice(0, 8) ?? ''}` : '';
  return `${tenant}/${credential.kind}:${credential.id}${digest}`;
}

function authenticate({ incoming, compiled }: Received): Principal | Promise<Principal> {
  const credential = extractCredential(incoming.rawHeaders);
  const certificate = incoming.clientCertificate === null ? null : readCertificate(incoming.clientCertificate);
  return compiled.authenticator.authenticate({ credential, certificate }, incoming.source);
}

function counted(received: Received, error: unknown): never {
  if (error instanceof Fault) {
    received.compiled.meter.authenticationFailure(error.detail ?? error.code);
    received.compiled.risk.checkAddress(received.incoming.source.ip);
  }
  throw error;
}
