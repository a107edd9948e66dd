import type { UpstreamKind } from './snapshot.ts';

/** Counting without a metrics library: the data plane reports here, the control plane renders. Labels are from closed vocabularies only. */
export interface Meter {
  /** One exchange ended. `model` is a public route name or `-` where none was resolved. Times are seconds. */
  exchange(sample: ExchangeSample): void;
  authenticationFailure(reason: string): void;
  authorisationDenial(action: string): void;
  verdict(detector: string, action: string): void;
  limitRefusal(limit: string): void;
  /** A client gave instructions of its own to a model that Sallyport gives its instructions. `model` is a public route name. */
  unknownPrompt(model: string): void;
  /** A second replica was asked because the first was late: which of them answered, or neither. `model` is a public route name. */
  hedged(model: string, answered: 'first' | 'second' | 'none'): void;
  inFlight(delta: 1 | -1): void;
  /** Tokens a running exchange may use, by the estimate it was admitted with; taken back when it ends. What replicas are scaled on. */
  tokensInFlight(delta: number): void;
  /** A breaker changed: of an upstream as a whole (`model` null), or of one of its models, by the upstream's name for it. */
  breaker(upstream: string, model: string | null, state: 'closed' | 'open' | 'half-open'): void;
}

export interface ExchangeSample {
  /** The request id, null where the ledger has no entry of it, and the trace it belongs to: for following a number up, never a label. */
  readonly id: string | null;
  readonly trace: string | null;
  readonly endpoint: string;
  readonly model: string;
  /** Kind of the model server that was asked, or null where none was. */
  readonly provider: UpstreamKind | null;
  readonly outcome: string;
  readonly status: number;
  readonly streamed: boolean;
  readonly overhead: number;
  readonly ttft: number | null;
  readonly total: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export const silentMeter: Meter = {
  exchange() {},
  authenticationFailure() {},
  authorisationDenial() {},
  verdict() {},
  limitRefusal() {},
  unknownPrompt() {},
  hedged() {},
  inFlight() {},
  tokensInFlight() {},
  breaker() {},
};
