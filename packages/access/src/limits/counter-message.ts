import type { Claim } from './claim.ts';
import type { Standing } from './store.ts';

/** Milliseconds in which what was granted may be spent. */
export const LEASE_TIME = 250;

/** Of a bucket, what a worker may spend without asking; counted as used until it is told otherwise. */
export interface Grant {
  readonly bucket: string;
  /** Its number: later ones have larger ones. */
  readonly grant: number;
  readonly amount: number;
  /** When all that the worker has of the bucket lapses, by the time the bucket goes by. */
  readonly until: number;
}

/** What became of a grant. */
export interface Spending {
  readonly bucket: string;
  /** The newest grant its worker knew of. */
  readonly grant: number;
  /** Places in the window or period, and what is to be added to what counts there, in turn. */
  readonly counts: readonly number[];
  /** How much less the worker has of the bucket: spent, or given back. */
  readonly less: number;
  /** It spends nothing more of it. */
  readonly ends: boolean;
}

/** What a worker and the process that counts for it tell each other; several in one message. Plain data: it crosses a process boundary. */
export type CounterQuestion =
  /** `often`: a grant is welcome. */
  | { readonly ask: 'take'; readonly id: number; readonly claims: readonly Claim[]; readonly often: boolean }
  | { readonly ask: 'settle'; readonly id: number; readonly used: readonly (number | null)[] }
  | { readonly ask: 'close'; readonly id: number }
  | ({ readonly ask: 'spend' } & Spending)
  | { readonly ask: 'peek' | 'clear'; readonly id: number; readonly claims: readonly Claim[] };

export type CounterAnswer =
  | { readonly id: number; readonly taken: readonly number[]; readonly standings: readonly Standing[]; readonly grants?: readonly Grant[] }
  | { readonly id: number; readonly at: number; readonly wait: number; readonly standings: readonly Standing[] }
  | { readonly id: number; readonly peeked: readonly Standing[] }
  /** Another runs short of this bucket: what is left of the grant is wanted back at once. */
  | { readonly recall: string };
