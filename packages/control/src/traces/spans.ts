import type { TracedExchange } from '@sallyport/core';
import { operationOf, providerOf } from '../metrics/gen-ai.ts';

/** A span as OTLP/JSON writes it (opentelemetry-proto, trace.proto; ids hexadecimal, 64-bit numbers as strings). */
export interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly events?: readonly { readonly timeUnixNano: string; readonly name: string; readonly attributes: readonly OtlpAttribute[] }[];
  readonly status: { readonly code?: number };
}

export interface OtlpAttribute {
  readonly key: string;
  readonly value:
    | { readonly stringValue: string }
    | { readonly intValue: string }
    | { readonly doubleValue: number }
    | { readonly boolValue: boolean };
}

const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

interface TraceIds {
  readonly id: string;
  readonly parent: string | null;
  readonly serverSpan: string;
  readonly clientSpan: string;
}

/**
 * The exchange as a client sees it, and within it the call of the model with the names of OpenTelemetry's GenAI conventions (status
 * Development, read 2026-11-20). Never text of a prompt or reply; who it was only where `identity` says so. `now` is epoch milliseconds.
 */
export function spansOf(ids: TraceIds, exchange: TracedExchange, now: number, identity: boolean): readonly OtlpSpan[] {
  const { facts, status, provider, streamed, askedAfter } = exchange;
  const total = facts.latency?.total ?? 0;
  const begin = now - total;
  const endpoint = String(facts.detail['endpoint'] ?? '-');
  const end = nanoseconds(now);
  const server: OtlpSpan = {
    traceId: ids.id,
    spanId: ids.serverSpan,
    ...(ids.parent === null ? {} : { parentSpanId: ids.parent }),
    name: endpoint,
    kind: SERVER,
    startTimeUnixNano: nanoseconds(begin),
    endTimeUnixNano: end,
    attributes: attributes({
      'http.response.status_code': status,
      'error.type': facts.fault,
      'sallyport.request.id': facts.id,
      'sallyport.endpoint': endpoint,
      'sallyport.action': facts.action,
      'sallyport.outcome': facts.outcome,
      'sallyport.decision.rule': facts.decision?.rule ?? null,
      'sallyport.overhead': (facts.latency?.overhead ?? 0) / 1000,
      ...(identity
        ? {
            'user.id': facts.principal?.id ?? null,
            'sallyport.tenant': facts.principal?.tenant ?? null,
          }
        : {}),
    }),
    events: facts.verdicts.map(({ detector, action, category, count }) => ({
      timeUnixNano: end,
      name: 'sallyport.guard.verdict',
      attributes: attributes({
        'sallyport.guard.detector': detector,
        'sallyport.guard.category': category,
        'sallyport.guard.action': action,
        'sallyport.guard.count': count,
      }),
    })),
    status: status >= 500 ? { code: ERROR } : {},
  };
  const operation = operationOf(endpoint);
  if (askedAfter === null || provider === null || operation === null) return [server];
  const { model, usage, latency } = facts;
  return [
    server,
    {
      traceId: ids.id,
      spanId: ids.clientSpan,
      parentSpanId: ids.serverSpan,
      name: `${operation} ${model?.name ?? '-'}`,
      kind: CLIENT,
      startTimeUnixNano: nanoseconds(begin + askedAfter),
      endTimeUnixNano: end,
      attributes: attributes({
        'gen_ai.operation.name': operation,
        'gen_ai.provider.name': providerOf(provider),
        'gen_ai.request.model': model?.name ?? null,
        'gen_ai.request.stream': streamed,
        'gen_ai.usage.input_tokens': usage?.input ?? null,
        'gen_ai.usage.output_tokens': usage?.output ?? null,
        'gen_ai.usage.cache_read.input_tokens': usage?.cached ?? null,
        'gen_ai.response.time_to_first_chunk':
          latency?.ttft === null || latency === null ? null : Math.max(0, latency.ttft - askedAfter) / 1000,
        'sallyport.upstream': model?.upstream ?? null,
        'sallyport.model.artifact': model?.artifact ?? null,
        'sallyport.attempts': Number(facts.detail['attempts'] ?? 1),
        'error.type': facts.fault,
      }),
      status: facts.fault === null ? {} : { code: ERROR },
    },
  ];
}

/** Epoch milliseconds as nanoseconds, to the microsecond. */
function nanoseconds(milliseconds: number): string {
  return `${Math.round(milliseconds * 1000)}000`;
}

/** What is null is left out. */
export function attributes(values: Readonly<Record<string, string | number | boolean | null>>): OtlpAttribute[] {
  const list: OtlpAttribute[] = [];
  for (const [key, value] of Object.entries(values)) {
    if (value === null) continue;
    if (typeof value === 'string') list.push({ key, value: { stringValue: value } });
    else if (typeof value === 'boolean') list.push({ key, value: { boolValue: value } });
    else list.push({ key, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } });
  }
  return list;
}
