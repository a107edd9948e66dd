import type { Decision } from './decision.ts';
import type { PrincipalKind } from './principal.ts';

export type EntryKind = 'request' | 'auth' | 'decision' | 'change' | 'tool' | 'finding' | 'system';

/** How an exchange ended, or `open` where its end is to be a later entry. A fault's code is in `fault`. */
export type Outcome = 'open' | 'answered' | 'refused' | 'blocked' | 'failed' | 'cut' | 'abandoned' | 'done';

/** What a writer states of an event; the ledger adds `seq`, `time`, `prev` and `hash` (docs/ledger.md). No personal text is ever in it. */
export interface EntryFacts {
  /** The request id, or a fresh id where there is no request. */
  readonly id: string;
  readonly kind: EntryKind;
  readonly principal: { readonly id: string; readonly kind: PrincipalKind; readonly tenant: string; readonly credential: string } | null;
  readonly source: { readonly ip: string; readonly port: number; readonly tls: string | null } | null;
  readonly action: string;
  readonly resource: string | null;
  readonly decision: { readonly effect: Decision['effect']; readonly rule: string } | null;
  readonly model: { readonly name: string; readonly upstream: string | null; readonly artifact: string | null } | null;
  readonly usage: { readonly input: number; readonly output: number; readonly cached: number; readonly exact: boolean } | null;
  /** Milliseconds. */
  readonly latency: { readonly overhead: number; readonly ttft: number | null; readonly total: number } | null;
  readonly verdicts: readonly { readonly detector: string; readonly action: string; readonly category: string; readonly count: number }[];
  readonly outcome: Outcome;
  /** The fault's code where the outcome is not `answered` or `done`. */
  readonly fault: string | null;
  /** Keyed digests (HMAC-SHA-256, hex) of what passed, or null where nothing did. */
  readonly digest: { readonly prompt: string | null; readonly reply: string | null };
  /** Small further facts: numbers, booleans, codes and names from closed vocabularies. Never text of a client. */
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** What an entry says that is of no exchange with a model: spread among the members of its own. */
export const NO_EXCHANGE: Pick<EntryFacts, 'model' | 'usage' | 'latency' | 'verdicts' | 'outcome' | 'fault' | 'digest'> = Object.freeze({
  model: null,
  usage: null,
  latency: null,
  verdicts: [],
  outcome: 'done' as const,
  fault: null,
  digest: Object.freeze({ prompt: null, reply: null }),
});
