import type { UpstreamKind } from '@sallyport/core';

/** An inference server found on this machine, and what it serves. */
export interface DiscoveredUpstream {
  readonly name: string;
  readonly kind: UpstreamKind;
  /** Empty for `demo`. */
  readonly url: string;
  /** Names as the server gives them, checked for length and characters: a server's word is untrusted. */
  readonly models: readonly string[];
}
