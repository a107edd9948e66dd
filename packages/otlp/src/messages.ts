/** How a field's value is written (protobuf.dev, "Encoding"): a scalar type, or the message it is. `hex` is `bytes` that OTLP/JSON has in hexadecimal. */
export type FieldType = 'string' | 'hex' | 'bool' | 'int64' | 'enum' | 'double' | 'fixed64' | Message;

export interface Field {
  readonly number: number;
  readonly type: FieldType;
  readonly repeated?: true;
}

/** Fields by their name in OTLP/JSON. */
export type Message = Readonly<Record<string, Field>>;

const one = (number: number, type: FieldType): Field => ({ number, type });
const many = (number: number, type: FieldType): Field => ({ number, type, repeated: true });

/*
 * Field numbers and types of opentelemetry-proto 1.x (opentelemetry/proto, read 2026-11-27), for what Sallyport sends. A field that is not here
 * cannot be sent: `encode` throws. `test/wire.test.ts` decodes with code that the OpenTelemetry project generated from the published files.
 */
const ANY_VALUE: Message = {
  stringValue: one(1, 'string'),
  boolValue: one(2, 'bool'),
  intValue: one(3, 'int64'),
  doubleValue: one(4, 'double'),
};
const ATTRIBUTE: Message = { key: one(1, 'string'), value: one(2, ANY_VALUE) };
const RESOURCE: Message = { attributes: many(1, ATTRIBUTE) };
const SCOPE: Message = { name: one(1, 'string'), version: one(2, 'string') };

const LOG_RECORD: Message = {
  timeUnixNano: one(1, 'fixed64'),
  severityNumber: one(2, 'enum'),
  severityText: one(3, 'string'),
  body: one(5, ANY_VALUE),
  attributes: many(6, ATTRIBUTE),
  observedTimeUnixNano: one(11, 'fixed64'),
  eventName: one(12, 'string'),
};
const EVENT: Message = { timeUnixNano: one(1, 'fixed64'), name: one(2, 'string'), attributes: many(3, ATTRIBUTE) };
const SPAN: Message = {
  traceId: one(1, 'hex'),
  spanId: one(2, 'hex'),
  parentSpanId: one(4, 'hex'),
  name: one(5, 'string'),
  kind: one(6, 'enum'),
  startTimeUnixNano: one(7, 'fixed64'),
  endTimeUnixNano: one(8, 'fixed64'),
  attributes: many(9, ATTRIBUTE),
  events: many(11, EVENT),
  status: one(15, { code: one(3, 'enum') }),
};
const NUMBER_POINT: Message = {
  startTimeUnixNano: one(2, 'fixed64'),
  timeUnixNano: one(3, 'fixed64'),
  asDouble: one(4, 'double'),
  attributes: many(7, ATTRIBUTE),
};
const HISTOGRAM_POINT: Message = {
  startTimeUnixNano: one(2, 'fixed64'),
  timeUnixNano: one(3, 'fixed64'),
  count: one(4, 'fixed64'),
  sum: one(5, 'double'),
  bucketCounts: many(6, 'fixed64'),
  explicitBounds: many(7, 'double'),
  attributes: many(9, ATTRIBUTE),
};
const METRIC: Message = {
  name: one(1, 'string'),
  description: one(2, 'string'),
  unit: one(3, 'string'),
  gauge: one(5, { dataPoints: many(1, NUMBER_POINT) }),
  sum: one(7, { dataPoints: many(1, NUMBER_POINT), aggregationTemporality: one(2, 'enum'), isMonotonic: one(3, 'bool') }),
  histogram: one(9, { dataPoints: many(1, HISTOGRAM_POINT), aggregationTemporality: one(2, 'enum') }),
};

/** `Export…ServiceRequest` of one signal: records by scope, by resource. */
function request(resources: string, scopes: string, records: string, record: Message): Message {
  const scope: Message = { scope: one(1, SCOPE), [records]: many(2, record) };
  return { [resources]: many(1, { resource: one(1, RESOURCE), [scopes]: many(2, scope) }) };
}

export const REQUESTS: Readonly<Record<'logs' | 'traces' | 'metrics', Message>> = {
  logs: request('resourceLogs', 'scopeLogs', 'logRecords', LOG_RECORD),
  traces: request('resourceSpans', 'scopeSpans', 'spans', SPAN),
  metrics: request('resourceMetrics', 'scopeMetrics', 'metrics', METRIC),
};
