import type { TelemetrySettings } from './config.ts';
import { type Path, quote } from './problem.ts';
import { checkUnique, type Reading, readDuration, readItems, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { OTLP, SCRAPE, TELEMETRY, TRACES } from './schema-telemetry.ts';

const INTERVAL = 15_000;
const SAMPLE = 0.1;

export function readTelemetry(value: unknown, reading: Reading): TelemetrySettings {
  const section = readSection(TELEMETRY, value, ['telemetry'], reading) ?? {};
  const scrape = readItems(SCRAPE, section.scrape, ['telemetry', 'scrape'], 64, 'a list of scrape targets', reading);
  checkUnique(scrape, reading.findings);
  for (const { value: target, path } of scrape) checkUrl(target.url, [...path, 'url'], reading);
  const otlp = readOtlp(section.otlp, reading);
  const path = ['telemetry', 'traces'];
  const traces = readSection(TRACES, section.traces, path, reading);
  if (traces !== null && otlp === null && (section.otlp ?? null) === null)
    reading.findings.problem(path, 'telemetry.otlp beside it', 'traces that go nowhere', 'add otlp: { url: http://127.0.0.1:4318 }');
  return {
    scrape: scrape.map(({ value: target }) => target),
    otlp,
    traces:
      traces === null
        ? null
        : { sample: traces.sample ?? SAMPLE, followClient: traces.followClient ?? true, identity: traces.identity ?? false },
  };
}

function readOtlp(value: unknown, reading: Reading): TelemetrySettings['otlp'] {
  const path = ['telemetry', 'otlp'];
  const section = readSection(OTLP, refuseInlineSecrets(value, ['authorization'], path, reading), path, reading);
  if (section === null) return null;
  checkUrl(section.url, [...path, 'url'], reading);
  return {
    url: section.url.replace(/\/+$/, ''),
    protocol: section.protocol ?? 'http/json',
    authorization: readReference(section.authorization, reading),
    metrics: section.metrics ?? false,
    interval: readDuration(section.interval, INTERVAL, [1_000, 3_600_000], [...path, 'interval'], reading),
  };
}

function checkUrl(text: string, path: Path, reading: Reading): void {
  const url = URL.parse(text);
  if (url === null) reading.findings.problem(path, 'an http or https URL', quote(text));
  else if (url.username !== '' || url.password !== '')
    reading.findings.problem(path, 'a URL without credentials', 'a URL with credentials');
  else if (url.hash !== '') reading.findings.problem(path, 'a URL without a fragment', 'a URL with one');
}
