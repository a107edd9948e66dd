import type { OtlpProtocol } from '@sallyport/core';
import { OtlpWire } from '@sallyport/otlp';
import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from '../format/severity.ts';
import { type Attempt, DELIVERED, type Delivery, type Destination } from './destination.ts';
import { expectSuccess, type HttpPeer } from './http.ts';

export interface OtlpOptions {
  /** `…/v1/logs`. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly host: string;
  readonly version: string;
  readonly encode: (event: SoundEvent) => string;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly doubleValue: number };
}

/** OpenTelemetry logs over OTLP/HTTP, in JSON or protobuf (opentelemetry-proto 1.x, `ExportLogsServiceRequest`). */
export class Otlp implements Destination {
  readonly #peer: HttpPeer;
  readonly #options: OtlpOptions;
  readonly #wire: OtlpWire;

  constructor(peer: HttpPeer, options: OtlpOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#wire = new OtlpWire(options.protocol);
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const { url, headers } = this.#options;
    const answer = await this.#peer.send({
      url,
      method: 'POST',
      headers: { ...headers, 'content-type': this.#wire.contentType },
      body: this.#wire.encode('logs', this.#request(events)),
      signal,
    });
    expectSuccess(answer);
    const { rejected } = this.#wire.answer(answer.body);
    if (rejected === 0) return DELIVERED;
    // Which ones is not said, and a partial success must not be sent again (OTLP specification): all of it becomes a dead letter.
    const reason = `partial success: ${rejected} of ${events.length} rejected`;
    return { refused: events.map((_, index) => ({ index, reason })), again: [], retryAfter: null };
  }

  /** Records by log: `service.instance.id` names it. */
  #request(events: readonly SoundEvent[]): object {
    const { host, version } = this.#options;
    const scope = { name: 'sallyport.audit', version };
    return {
      resourceLogs: [...Map.groupBy(events, ({ log }) => log)].map(([log, of]) => ({
        resource: {
          attributes: [text('service.name', 'sallyport'), text('service.instance.id', log), text('host.name', host)],
        },
        scopeLogs: [{ scope, logRecords: of.map((event) => this.#record(event)) }],
      })),
    };
  }

  #record(event: SoundEvent): unknown {
    const { entry } = event;
    const nanoseconds = `${Date.parse(entry.time)}000000`;
    const severity = severityOf(entry);
    return {
      timeUnixNano: nanoseconds,
      observedTimeUnixNano: nanoseconds,
      severityNumber: LEVELS[severity].otlp,
      severityText: LEVELS[severity].text,
      eventName: `sallyport.${entry.kind}`,
      body: { stringValue: this.#options.encode(event) },
      attributes: attributesOf(event),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}

function attributesOf({ entry, log }: SoundEvent): Attribute[] {
  const { principal, source, model, usage } = entry;
  const attributes = [
    text('log.record.uid', entry.hash),
    text('sallyport.log', log),
    { key: 'sallyport.seq', value: { intValue: String(entry.seq) } },
    text('sallyport.action', entry.action),
    text('sallyport.outcome', entry.outcome),
  ];
  const add = (key: string, value: string | null | undefined): void => {
    if (value !== null && value !== undefined) attributes.push(text(key, value));
  };
  add('sallyport.fault', entry.fault);
  add('user.id', principal?.id);
  add('sallyport.tenant', principal?.tenant);
  add('client.address', source?.ip);
  add('gen_ai.request.model', model?.name);
  add('sallyport.policy.rule', entry.decision?.rule);
  if (usage !== null) {
    attributes.push({ key: 'gen_ai.usage.input_tokens', value: { intValue: String(usage.input) } });
    attributes.push({ key: 'gen_ai.usage.output_tokens', value: { intValue: String(usage.output) } });
  }
  return attributes;
}

function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } };
}
