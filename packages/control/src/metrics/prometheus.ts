import type { ExchangeSample, Meter } from '@sallyport/core';
import { CONTENT_TYPES, type Exposition, render } from './exposition.ts';
import { GenAiMetrics } from './gen-ai.ts';
import { type Cell, Counter, type ExchangeRef, type Family, Histogram, type HistogramCell, type Instrument } from './instrument.ts';

/** A gateway's own work takes microseconds, a guard's milliseconds. Seconds. */
const OVERHEAD_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const APPEND_BOUNDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** What becomes of an entry that the ledger is asked to record. */
const APPEND_OUTCOMES = ['durable', 'refused', 'unrecorded'] as const;
export type AppendOutcome = (typeof APPEND_OUTCOMES)[number];

type BreakerState = Parameters<Meter['breaker']>[2];
const STATES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };
/** Breakers told apart; models of one server that anybody may manage can be many. */
const MAX_BREAKERS = 2_000;

/** Everything one exchange counts in, found once for its labels. */
interface ExchangeCells {
  readonly sample: ExchangeSample;
  readonly requests: Cell;
  readonly overhead: HistogramCell;
  readonly input: Cell;
  readonly output: Cell;
  readonly genAi: ReturnType<GenAiMetrics['cells']>;
}

/**
 * Counts for Prometheus and OpenTelemetry (docs/metrics.md). Base units, `sallyport_` prefix, and the OpenTelemetry GenAI names where
 * they fit. Labels come from closed vocabularies and configured names: no identity, key, address or text.
 */
export class PrometheusMeter implements Meter {
  readonly #requests = new Counter('sallyport_requests', 'Exchanges by endpoint, model and outcome.', [
    'endpoint',
    'model',
    'outcome',
    'status',
  ]);
  readonly #tokens = new Counter('sallyport_tokens', 'Tokens as counted by the model servers.', ['model', 'type']);
  readonly #authentication = new Counter('sallyport_authentication_failures', 'Credentials refused, by reason.', ['reason']);
  readonly #denials = new Counter('sallyport_authorisation_denials', 'Calls policy denied, by action.', ['action']);
  readonly #verdicts = new Counter('sallyport_guard_verdicts', 'Findings of the guard, by detector and what was done.', [
    'detector',
    'action',
  ]);
  readonly #limits = new Counter('sallyport_limit_refusals', 'Requests refused by a limit.', ['limit']);
  readonly #unknownPrompts = new Counter(
    'sallyport_unknown_prompts',
    'Requests with instructions of their own for a model that has a system prompt.',
    ['model'],
  );
  readonly #hedges = new Counter('sallyport_hedges', 'Second replicas asked because the first was late, by which of them answered.', [
    'model',
    'answered',
  ]);
  readonly #overhead = new Histogram('sallyport_overhead_seconds', 'Time Sallyport added to an exchange.', ['endpoint'], OVERHEAD_BOUNDS);
  readonly #append = new Histogram(
    'sallyport_ledger_append_seconds',
    'Time until an entry was durable, refused, or given up as unrecorded.',
    ['outcome'],
    APPEND_BOUNDS,
  );
  readonly #genAi = new GenAiMetrics();
  readonly #cells = new Map<string, ExchangeCells>();
  readonly #sources: readonly (() => readonly Family[] | Promise<readonly Family[]>)[];
  /** What the last exchange of a model counted in. */
  readonly #latest = new Map<string, ExchangeCells>();
  readonly #breakerOpened = new Counter('sallyport_breaker_opened', 'How often a breaker opened, by upstream.', ['upstream']);
  /** Those that ever changed, with their state. */
  readonly #breakers = new Map<string, { readonly upstream: string; readonly model: string; readonly state: BreakerState }>();
  #inFlight = 0;
  #tokensInFlight = 0;

  /** `sources` are read whenever somebody asks for numbers. */
  constructor(sources: readonly (() => readonly Family[] | Promise<readonly Family[]>)[] = []) {
    this.#sources = sources;
    // From the start: the first that is lost counts as an increase.
    for (const outcome of APPEND_OUTCOMES) this.#append.of(outcome);
  }

  exchange(sample: ExchangeSample): void {
    const cells = this.#cellsFor(sample);
    // An id leads from a slow bucket to the entry of the ledger, or to the trace.
    const exchange = refOf(sample);
    cells.requests.value += 1;
    cells.overhead.observe(sample.overhead, exchange);
    if (sample.inputTokens > 0) cells.input.value += sample.inputTokens;
    if (sample.outputTokens > 0) cells.output.value += sample.outputTokens;
    if (cells.genAi !== null) this.#genAi.observe(cells.genAi, sample, exchange);
  }

  authenticationFailure(reason: string): void {
    this.#authentication.of(reason).value += 1;
  }

  authorisationDenial(action: string): void {
    this.#denials.of(action).value += 1;
  }

  verdict(detector: string, action: string): void {
    this.#verdicts.of(detector, action).value += 1;
  }

  limitRefusal(limit: string): void {
    this.#limits.of(limit).value += 1;
  }

  unknownPrompt(model: string): void {
    this.#unknownPrompts.of(model).value += 1;
  }

  hedged(model: string, answered: 'first' | 'second' | 'none'): void {
    this.#hedges.of(model, answered).value += 1;
  }

  inFlight(delta: 1 | -1): void {
    this.#inFlight += delta;
  }

  tokensInFlight(delta: number): void {
    this.#tokensInFlight += delta;
  }

  breaker(upstream: string, model: string | null, state: BreakerState): void {
    const key = JSON.stringify([upstream, model]);
    const known = this.#breakers.get(key);
    if (known === undefined && this.#breakers.size >= MAX_BREAKERS) return;
    this.#breakers.set(key, { upstream, model: model ?? '-', state });
    if (state === 'open') this.#breakerOpened.of(upstream).value += 1;
  }

  /** What became of an entry after so many seconds; `unrecorded` is lost, and policy let its request go on. */
  appended(seconds: number, outcome: AppendOutcome): void {
    this.#append.of(outcome).observe(seconds);
  }

  async collect(): Promise<readonly Family[]> {
    const own: readonly Instrument[] = [
      this.#requests,
      this.#tokens,
      this.#authentication,
      this.#denials,
      this.#verdicts,
      this.#limits,
      this.#unknownPrompts,
      this.#hedges,
      this.#breakerOpened,
      this.#overhead,
      this.#append,
      ...this.#genAi.instruments,
    ];
    const inFlight: Family = {
      name: 'sallyport_requests_in_flight',
      help: 'Exchanges running now.',
      type: 'gauge',
      series: [{ labels: {}, value: this.#inFlight }],
    };
    const tokens: Family = {
      name: 'sallyport_tokens_in_flight',
      help: 'Tokens that running exchanges may use, as they were estimated.',
      type: 'gauge',
      series: [{ labels: {}, value: this.#tokensInFlight }],
    };
    const breakers: Family = {
      name: 'sallyport_breaker_state',
      help: 'Breakers that ever opened: 0 closed, 1 half-open, 2 open. Model - is the upstream as a whole.',
      type: 'gauge',
      series: [...this.#breakers.values()].map(({ upstream, model, state }) => ({ labels: { upstream, model }, value: STATES[state] })),
    };
    const others = await Promise.all(this.#sources.map((source) => source()));
    return [...own.map((instrument) => instrument.collect()), inFlight, tokens, breakers, ...others.flat()];
  }

  async render(form: Exposition): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: CONTENT_TYPES[form], text: render(await this.collect(), form) };
  }

  #cellsFor(sample: ExchangeSample): ExchangeCells {
    const last = this.#latest.get(sample.model);
    if (last !== undefined && sameLabels(last.sample, sample)) return last;
    const { endpoint, model, outcome, status, provider } = sample;
    const key = `${endpoint}\n${model}\n${outcome}\n${status}\n${provider}`;
    let cells = this.#cells.get(key);
    if (cells === undefined) {
      cells = {
        sample,
        requests: this.#requests.of(endpoint, model, outcome, String(status)),
        overhead: this.#overhead.of(endpoint),
        input: this.#tokens.of(model, 'input'),
        output: this.#tokens.of(model, 'output'),
        genAi: this.#genAi.cells(sample),
      };
      // The families bound their series; this only finds them, and is as bounded.
      if (this.#cells.size >= MAX_KEPT) {
        this.#cells.clear();
        this.#latest.clear();
      }
      this.#cells.set(key, cells);
    }
    this.#latest.set(model, cells);
    return cells;
  }
}

const MAX_KEPT = 4_096;

function refOf({ id, trace }: ExchangeSample): ExchangeRef | null {
  if (trace !== null) return { label: 'trace_id', id: trace };
  return id === null ? null : { label: 'request_id', id };
}

function sameLabels(a: ExchangeSample, b: ExchangeSample): boolean {
  return a.endpoint === b.endpoint && a.model === b.model && a.outcome === b.outcome && a.status === b.status && a.provider === b.provider;
}
