import type { ExchangeSample, Meter } from '@sallyport/core';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What is read when Prometheus asks, rather than counted as it happens. */
export interface MetricSources {
  readonly snapshot: () => { readonly version: number; readonly ageSeconds: number; readonly staleSeconds: number } | null;
  readonly ledger: () => { readonly entries: number; readonly pending: number; readonly failing: boolean };
  readonly upstreams: () => readonly { readonly name: string; readonly state: string }[];
}

/** Seconds. A gateway's own work is in the lower buckets, a model's in the upper ones. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/**
 * Counts for Prometheus (docs/metrics.md). Base units, `sallyport_` prefix, and the OpenTelemetry GenAI names where they fit. Labels come
 * from closed vocabularies and configured model names: no identity, key, address or text.
 */
export class PrometheusMeter implements Meter {
  readonly registry: Registry = new Registry();
  readonly #requests = this.#counter('sallyport_requests_total', 'Exchanges by endpoint, model and outcome.', [
    'endpoint',
    'model',
    'outcome',
    'status',
  ]);
  readonly #authentication = this.#counter('sallyport_authentication_failures_total', 'Credentials refused, by reason.', ['reason']);
  readonly #denials = this.#counter('sallyport_authorisation_denials_total', 'Calls policy denied, by action.', ['action']);
  readonly #verdicts = this.#counter('sallyport_guard_verdicts_total', 'Findings of the guard, by detector and what was done.', [
    'detector',
    'action',
  ]);
  readonly #limits = this.#counter('sallyport_limit_refusals_total', 'Requests refused by a limit.', ['limit']);
  readonly #tokens = this.#counter('gen_ai_client_token_usage_total', 'Tokens as counted by the model servers.', [
    'model',
    'gen_ai_token_type',
  ]);
  readonly #overhead = this.#histogram('sallyport_overhead_seconds', 'Time Sallyport added to an exchange.', ['endpoint']);
  readonly #ttft = this.#histogram('gen_ai_server_time_to_first_token_seconds', 'Time to the first piece of a reply.', ['model']);
  readonly #duration = this.#histogram('gen_ai_server_request_duration_seconds', 'Whole exchanges.', ['model', 'outcome']);
  readonly #inFlight = new Gauge({ name: 'sallyport_requests_in_flight', help: 'Exchanges running now.', registers: [this.registry] });

  constructor(sources: MetricSources) {
    collectDefaultMetrics({ register: this.registry });
    this.#observe(sources);
  }

  exchange(sample: ExchangeSample): void {
    const { endpoint, model, outcome } = sample;
    this.#requests.inc({ endpoint, model, outcome, status: String(sample.status) });
    this.#overhead.observe({ endpoint }, sample.overhead);
    this.#duration.observe({ model, outcome }, sample.total);
    if (sample.ttft !== null) this.#ttft.observe({ model }, sample.ttft);
    if (sample.inputTokens > 0) this.#tokens.inc({ model, gen_ai_token_type: 'input' }, sample.inputTokens);
    if (sample.outputTokens > 0) this.#tokens.inc({ model, gen_ai_token_type: 'output' }, sample.outputTokens);
  }

  authenticationFailure(reason: string): void {
    this.#authentication.inc({ reason });
  }

  authorisationDenial(action: string): void {
    this.#denials.inc({ action });
  }

  verdict(detector: string, action: string): void {
    this.#verdicts.inc({ detector, action });
  }

  limitRefusal(limit: string): void {
    this.#limits.inc({ limit });
  }

  inFlight(delta: 1 | -1): void {
    this.#inFlight.inc(delta);
  }

  /** Prometheus text exposition format 0.0.4. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #histogram<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Histogram<Label> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets: BUCKETS, registers: [this.registry] });
  }

  #observe(sources: MetricSources): void {
    const gauge = <Label extends string>(
      name: string,
      help: string,
      labelNames: readonly Label[],
      collect: (gauge: Gauge<Label>) => void,
    ): void => {
      const created: Gauge<Label> = new Gauge({
        name,
        help,
        labelNames: [...labelNames],
        registers: [this.registry],
        collect: () => collect(created),
      });
    };
    gauge('sallyport_snapshot_version', 'Version of the snapshot in use.', [], (g) => g.set(sources.snapshot()?.version ?? 0));
    gauge('sallyport_snapshot_age_seconds', 'Age of the snapshot in use.', [], (g) => g.set(sources.snapshot()?.ageSeconds ?? Number.NaN));
    gauge('sallyport_snapshot_stale_seconds', 'How long the source of snapshots has been out of reach.', [], (g) =>
      g.set(sources.snapshot()?.staleSeconds ?? Number.NaN),
    );
    gauge('sallyport_ledger_entries', "Durable entries in this process's log.", [], (g) => g.set(sources.ledger().entries));
    gauge('sallyport_ledger_pending', 'Entries accepted and not yet durable.', [], (g) => g.set(sources.ledger().pending));
    gauge('sallyport_ledger_failing', '1 while entries cannot be recorded.', [], (g) => g.set(sources.ledger().failing ? 1 : 0));
    gauge('sallyport_upstream_up', '1 for an upstream that answers, 0 for one that does not.', ['upstream'], (g) => {
      g.reset();
      // Of an upstream nobody has asked yet nothing is known, so nothing is said.
      for (const { name, state } of sources.upstreams()) if (state !== 'unknown') g.set({ upstream: name }, state === 'degraded' ? 0 : 1);
    });
  }
}
