import { extractCredential, readCertificate } from '@sallyport/access';
import { Fault, type Principal } from '@sallyport/core';
import type { Identified, Received } from './facts.ts';

/** Establishes who calls. A key is checked in memory at once; only a token not seen before waits for its issuer's keys. */
export function identify(received: Received): Identified | Promise<Identified> {
  try {
    const principal = authenticate(received);
    if (!(principal instanceof Promise)) return { ...received, principal };
    return principal.then(
      (known) => ({ ...received, principal: known }),
      (error: unknown) => counted(received, error),
    );
  } catch (error) {
    return counted(received, error);
  }
}

function authenticate({ incoming, compiled }: Received): Principal | Promise<Principal> {
  const credential = extractCredential(incoming.rawHeaders);
  const certificate = incoming.clientCertificate === null ? null : readCertificate(incoming.clientCertificate);
  return compiled.authenticator.authenticate({ credential, certificate }, incoming.source);
}

function counted(received: Received, error: unknown): never {
  if (error instanceof Fault) received.compiled.meter.authenticationFailure(error.detail ?? error.code);
  throw error;
}
