import type { EntryFacts } from './entry.ts';
import type { UpstreamKind } from './snapshot.ts';

/** Follows exchanges across services (W3C Trace Context). What it does on an exchange's way must cost next to nothing. */
export interface Tracer {
  /**
   * Takes the client's `traceparent` and `tracestate`, which may be anything. `known` where the caller was identified. Null where there
   * is nothing to follow: neither does the client trace, nor is the exchange among those that are sampled.
   */
  begin(traceparent: string | undefined, tracestate: string | undefined, known: boolean): Trace | null;
  /** The exchange is over. */
  end(trace: Trace, exchange: TracedExchange): void;
}

export interface Trace {
  /** 32 hexadecimal digits, in lower case. */
  readonly id: string;
  /** Whether spans of it are kept here; else the client's headers are only passed on. */
  readonly sampled: boolean;
  /** What the upstream gets: names and values in turn. */
  readonly headers: readonly string[];
}

/** What a span may tell; the same facts as the ledger's. */
export interface TracedExchange {
  readonly facts: EntryFacts;
  readonly status: number;
  readonly provider: UpstreamKind | null;
  readonly streamed: boolean;
  /** Milliseconds from the beginning of the exchange to the first call of an upstream, or null where none was called. */
  readonly askedAfter: number | null;
}
