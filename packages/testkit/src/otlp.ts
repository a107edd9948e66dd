import generated from '@opentelemetry/otlp-transformer/build/src/generated/root.js';

interface Generated {
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): object;
}

const NAMES = { logs: 'ExportLogsServiceRequest', traces: 'ExportTraceServiceRequest', metrics: 'ExportMetricsServiceRequest' } as const;

/**
 * Reads a request with code that the OpenTelemetry project generated from its published .proto files (opentelemetry-js, otlp-transformer
 * 0.214.0), and gives it as OTLP/JSON has it: numbers of 64 bits as texts, ids in hexadecimal.
 */
export function decodePublished(signal: 'logs' | 'traces' | 'metrics', bytes: Uint8Array): Record<string, unknown> {
  const path = ['opentelemetry', 'proto', 'collector', signal === 'traces' ? 'trace' : signal, 'v1', NAMES[signal]];
  const message = path.reduce<object>((at, name) => Reflect.get(at, name), generated) as Generated;
  return plain(message.toObject(message.decode(bytes), { longs: String, bytes: Array }));
}

function plain(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value), (key, item: unknown) =>
    /^(?:trace|span|parentSpan)Id$/.test(key) ? Buffer.from(item as number[]).toString('hex') : item,
  );
}
