import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Logger, OtlpProtocol } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import { type OtlpSignal, OtlpWire } from '@sallyport/otlp';
import type { Family, Labels } from '../metrics/instrument.ts';
import { attributes, type OtlpSpan } from './spans.ts';

export interface OtlpOptions {
  /** Without `/v1/traces`. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** Value of the `authorization` header: secret. */
  readonly authorization: string | null;
  readonly version: string;
  /** Tells processes of one installation apart. */
  readonly instance: string;
  /** Read for each delivery of metrics, or null where none are sent. */
  readonly metrics: (() => Promise<readonly Family[]>) | null;
  /** Milliseconds between two deliveries of metrics. */
  readonly interval: number;
  readonly egress: Pick<Egress, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Spans that wait at most. More are dropped and counted: a receiver that is away must not fill the memory. */
const MAX_WAITING = 8_192;
/** Spans of one request. */
const BATCH = 512;
/** Milliseconds between two looks at what waits. */
const FLUSH = 1_000;
const TIMEOUT = 10_000;
const MAX_ANSWER = 65_536;
const LONGEST_PAUSE = 30_000;
const CUMULATIVE = 2;

/**
 * Sends spans and metrics to an OTLP/HTTP receiver, in JSON or protobuf (opentelemetry.io/docs/specs/otlp). Best effort, unlike the ledger's exporters:
 * what cannot be delivered is tried again while there is room for it, and counted when it is dropped.
 */
export class OtlpExporter implements AsyncDisposable {
  readonly #options: OtlpOptions;
  readonly #wire: OtlpWire;
  readonly #resource: object;
  readonly #startedAt: string;
  readonly #timers: NodeJS.Timeout[] = [];
  #waiting: OtlpSpan[] = [];
  #sending: Promise<void> | null = null;
  readonly #closing = new AbortController();
  #pause = 0;
  #quiet = false;
  #sent = 0;
  #dropped = 0;

  constructor(options: OtlpOptions) {
    this.#options = options;
    this.#wire = new OtlpWire(options.protocol);
    this.#startedAt = nanos(options.clock.now());
    const described = { 'service.name': 'sallyport', 'service.version': options.version, 'service.instance.id': options.instance };
    this.#resource = { attributes: attributes(described) };
    this.#timers.push(setInterval(() => void this.flush(), FLUSH).unref());
    if (options.metrics !== null) this.#timers.push(setInterval(() => void this.sendMetrics(), options.interval).unref());
  }

  /** Takes spans to send, or says that there is no room. Never waits. */
  keep(spans: readonly OtlpSpan[]): boolean {
    if (this.#waiting.length + spans.length > MAX_WAITING) {
      this.#dropped += spans.length;
      return false;
    }
    this.#waiting.push(...spans);
    return true;
  }

  families(): readonly Family[] {
    return [
      {
        name: 'sallyport_spans',
        help: 'Spans of traces, by what became of them.',
        type: 'counter',
        series: [
          { labels: { result: 'sent' }, value: this.#sent },
          { labels: { result: 'dropped' }, value: this.#dropped },
        ],
      },
    ];
  }

  /** Sends what waits. Resolves when nothing waits any more, or the receiver does not take it for now. Never rejects. */
  flush(): Promise<void> {
    this.#sending ??= this.#flush().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async sendMetrics(): Promise<void> {
    const { metrics, clock } = this.#options;
    if (metrics === null) return;
    const time = nanos(clock.now());
    const list = (await metrics()).map((family) => metricOf(family, this.#startedAt, time));
    await this.#post('metrics', {
      resourceMetrics: [{ resource: this.#resource, scopeMetrics: [{ scope: this.#scope(), metrics: list }] }],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await this.flush();
    this.#dropped += this.#waiting.length;
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH);
      const body = { resourceSpans: [{ resource: this.#resource, scopeSpans: [{ scope: this.#scope(), spans: batch }] }] };
      const outcome = await this.#post('traces', body);
      if (outcome === 'later') {
        if (this.#closing.signal.aborted) return;
        this.#pause = Math.min(LONGEST_PAUSE, Math.max(FLUSH, this.#pause * 2));
        // Whoever stops does not wait for a receiver that is away: one last attempt, at once.
        await sleep(this.#pause, undefined, { ref: false, signal: this.#closing.signal }).catch(() => undefined);
        continue;
      }
      this.#pause = 0;
      this.#waiting.splice(0, batch.length);
      if (outcome === 'taken') this.#sent += batch.length;
      else this.#dropped += batch.length;
    }
  }

  /** `later`: the specification's statuses that are worth a retry, and no answer at all. */
  async #post(signal: OtlpSignal, body: object): Promise<'taken' | 'refused' | 'later'> {
    const { url, authorization, logger, egress } = this.#options;
    let status: number | null = null;
    try {
      const answer = await egress.request(`${url}/v1/${signal}`, {
        method: 'POST',
        timeout: TIMEOUT,
        maxBytes: MAX_ANSWER,
        headers: { 'content-type': this.#wire.contentType, ...(authorization === null ? {} : { authorization }) },
        body: this.#wire.encode(signal, body),
      });
      status = answer.status;
    } catch {
      // No answer: the reason may name hosts, and the status below says enough.
    }
    if (status !== null && status < 300) {
      this.#quiet = false;
      return 'taken';
    }
    // Once an outage, not once a batch.
    if (!this.#quiet) logger.warn('otlp.not-delivered', { path: `/v1/${signal}`, status });
    this.#quiet = true;
    return status === null || status === 429 || status === 502 || status === 503 || status === 504 ? 'later' : 'refused';
  }

  #scope(): object {
    return { name: 'sallyport', version: this.#options.version };
  }
}

function nanos(milliseconds: number): string {
  return `${Math.round(milliseconds)}000000`;
}

/** Names that have a spelling of their own in OpenTelemetry; others keep the one of Prometheus. */
const OTEL_NAMES: Readonly<Record<string, { readonly name: string; readonly unit: string }>> = {
  gen_ai_server_request_duration_seconds: { name: 'gen_ai.server.request.duration', unit: 's' },
  gen_ai_client_operation_duration_seconds: { name: 'gen_ai.client.operation.duration', unit: 's' },
  gen_ai_server_time_to_first_token_seconds: { name: 'gen_ai.server.time_to_first_token', unit: 's' },
  gen_ai_server_time_per_output_token_seconds: { name: 'gen_ai.server.time_per_output_token', unit: 's' },
  gen_ai_client_token_usage: { name: 'gen_ai.client.token.usage', unit: '{token}' },
  gen_ai_client_inference_usage_input_tokens: { name: 'gen_ai.client.inference.usage.input_tokens', unit: '{token}' },
  gen_ai_client_inference_usage_output_tokens: { name: 'gen_ai.client.inference.usage.output_tokens', unit: '{token}' },
};

const OTEL_LABELS: Readonly<Record<string, string>> = {
  gen_ai_operation_name: 'gen_ai.operation.name',
  gen_ai_provider_name: 'gen_ai.provider.name',
  gen_ai_request_model: 'gen_ai.request.model',
  gen_ai_token_type: 'gen_ai.token.type',
  error_type: 'error.type',
};

function metricOf({ name, help, type, series }: Family, startTimeUnixNano: string, timeUnixNano: string): object {
  const otel = OTEL_NAMES[name];
  const unit = otel?.unit ?? (name.endsWith('_seconds') ? 's' : name.endsWith('_bytes') ? 'By' : name.endsWith('_ratio') ? '1' : '');
  const head = { name: otel?.name ?? name, description: help, unit };
  const at = { timeUnixNano };
  const since = { startTimeUnixNano, timeUnixNano };
  const dataPoints = series.flatMap(({ labels, value }): object[] => {
    const own = { attributes: attributesOf(labels) };
    if (typeof value !== 'number') {
      const { counts, bounds, sum } = value;
      const count = counts.reduce((total, one) => total + one, 0);
      return [{ ...own, ...since, count: String(count), sum, bucketCounts: counts.map(String), explicitBounds: bounds }];
    }
    // JSON has no NaN: what is not known is not said.
    return Number.isFinite(value) ? [{ ...own, ...(type === 'counter' ? since : at), asDouble: value }] : [];
  });
  if (type === 'gauge') return { ...head, gauge: { dataPoints } };
  const aggregated = { dataPoints, aggregationTemporality: CUMULATIVE };
  return type === 'histogram' ? { ...head, histogram: aggregated } : { ...head, sum: { ...aggregated, isMonotonic: true } };
}

function attributesOf(labels: Labels): ReturnType<typeof attributes> {
  return attributes(
    Object.fromEntries(Object.entries(labels).flatMap(([name, value]) => (value === '' ? [] : [[OTEL_LABELS[name] ?? name, value]]))),
  );
}
