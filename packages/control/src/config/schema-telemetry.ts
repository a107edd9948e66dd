import { OTLP_PROTOCOLS } from '@sallyport/core';
import Type from 'typebox';
import type { OtlpDocument, ScrapeDocument, TracesDocument } from './document.ts';
import { CLOSED, Name, Url } from './schema-terms.ts';
import { type Shape, shape } from './shape.ts';

export const SCRAPE_KINDS = ['vllm', 'llamacpp', 'tgi', 'dcgm', 'nvidia-smi'] as const;

const ScrapeItem = Type.Object(
  {
    name: Name,
    kind: Type.Enum([...SCRAPE_KINDS], { title: `one of ${SCRAPE_KINDS.join(', ')}` }),
    url: Type.String({ ...Url, description: 'Its metrics: http://gpu1:8000/metrics.' }),
  },
  { ...CLOSED, title: 'a scrape target: a mapping with name, kind and url' },
);

const OtlpSection = Type.Object(
  {
    url: Type.String({ ...Url, description: 'An OTLP/HTTP receiver; /v1/traces and /v1/metrics are added.' }),
    protocol: Type.Optional(
      Type.Enum([...OTLP_PROTOCOLS], {
        title: `one of ${OTLP_PROTOCOLS.join(', ')}`,
        default: OTLP_PROTOCOLS[0],
        description: 'How traces and metrics are written.',
      }),
    ),
    authorization: Type.Optional(
      Type.String({
        pattern: '^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\\u0000-\\u001f]{1,1024})$',
        title: 'a reference: env:NAME or file:/path',
        description: 'Value of the authorization header.',
      }),
    ),
    metrics: Type.Optional(Type.Boolean({ title: 'true or false', default: false, description: 'Send metrics too.' })),
    interval: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,9}(ms|s|m|h|d)$',
        title: 'a duration such as 500ms, 30s, 1m, 24h or 30d',
        default: '15s',
        description: 'Between two deliveries of metrics.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of OTLP settings', description: 'Where traces and metrics are sent. Nowhere unless given.' },
);

const TracesSection = Type.Object(
  {
    sample: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        title: 'a number from 0 to 1',
        default: 0.1,
        description: 'Share of exchanges that are traced.',
      }),
    ),
    followClient: Type.Optional(
      Type.Boolean({
        title: 'true or false',
        default: true,
        description: "A known caller's own decision to trace (W3C trace context) goes before the share.",
      }),
    ),
    identity: Type.Optional(
      Type.Boolean({
        title: 'true or false',
        default: false,
        description: 'Name principal and tenant in spans. Personal data leaves then.',
      }),
    ),
  },
  { ...CLOSED, title: 'a mapping of trace settings', description: 'Traces of exchanges. None unless given.' },
);

export const TelemetrySection: Type.TObject = Type.Object(
  {
    scrape: Type.Optional(Type.Array(ScrapeItem, { maxItems: 64, title: 'a list of scrape targets' })),
    otlp: Type.Optional(OtlpSection),
    traces: Type.Optional(TracesSection),
  },
  { ...CLOSED, title: 'a mapping of telemetry settings', description: 'What is measured beside Sallyport itself, and where traces go.' },
);

export const SCRAPE: Shape<ScrapeDocument> = shape(ScrapeItem);
export const OTLP: Shape<OtlpDocument> = shape(OtlpSection);
export const TRACES: Shape<TracesDocument> = shape(TracesSection);
export const TELEMETRY: Shape<{ scrape?: unknown; otlp?: unknown; traces?: unknown }> = shape(
  Type.Object(
    { scrape: Type.Optional(Type.Unknown()), otlp: Type.Optional(Type.Unknown()), traces: Type.Optional(Type.Unknown()) },
    CLOSED,
  ),
);
