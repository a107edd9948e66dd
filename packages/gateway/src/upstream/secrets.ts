import type { Upstream } from '@sallyport/core';

/** Reads what a secret reference (`env:NAME`, `file:/path`) points at. */
export type ResolveSecret = (reference: string) => string;

/** What the references of an upstream pointed at when they were read. */
export interface UpstreamSecrets {
  readonly credential: string | null;
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Throws what `resolve` throws, and a `TypeError` for a credential that cannot be sent. */
export function readSecrets(upstream: Upstream, resolve: ResolveSecret): UpstreamSecrets {
  const read = (reference: string | null | undefined): string | null =>
    reference === null || reference === undefined ? null : resolve(reference);
  const credential = read(upstream.credential);
  if (credential !== null && !/^[\x21-\x7e]{1,4096}$/.test(credential)) {
    throw new TypeError(`the credential of upstream ${upstream.name} holds characters that a header cannot carry`);
  }
  return { credential, ca: read(upstream.tls?.ca), cert: read(upstream.tls?.cert), key: read(upstream.tls?.key) };
}

export function sameSecrets(a: UpstreamSecrets, b: UpstreamSecrets): boolean {
  return a.credential === b.credential && a.ca === b.ca && a.cert === b.cert && a.key === b.key;
}
