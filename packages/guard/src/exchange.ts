import type { Provenance } from '@sallyport/core';

/** A text the model was given. */
export interface GivenText {
  readonly provenance: Provenance;
  readonly text: string;
}

/** What the guard may know of the exchange a reply belongs to. Made once an exchange and shared by all windows of its reply. */
export interface Exchange {
  /** Everything the model was given, as it was sent to it. */
  readonly given: readonly GivenText[];
  /** A system prompt that Sallyport itself put in, or null. */
  readonly prompt: string | null;
  /** A word that stands in this exchange's system prompt and nowhere else, or null. */
  readonly canary: string | null;
}
