import type { Distribution, Exemplar, Family, Labels } from './instrument.ts';

/** Prometheus text exposition format 0.0.4, or OpenMetrics 1.0, which has exemplars. */
export type Exposition = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<Exposition, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** What an `accept` header asks for. Prometheus names the version of OpenMetrics it wants; quality values order it, and ours come first. */
export function negotiate(accept: string | undefined): Exposition {
  return accept !== undefined && /\bapplication\/openmetrics-text\b(?![^,]*;\s*q=0(\.0*)?\s*(,|$))/.test(accept)
    ? 'openmetrics'
    : 'prometheus';
}

/** Families without a series are left out: a name without a number says nothing. */
export function render(families: readonly Family[], form: Exposition): string {
  const lines: string[] = [];
  for (const family of families) {
    if (family.series.length === 0) continue;
    // 0.0.4 names a counter as its samples are named, OpenMetrics by what they have in common.
    const name = family.type === 'counter' && form === 'prometheus' ? `${family.name}_total` : family.name;
    lines.push(`# HELP ${name} ${family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${family.type}`);
    for (const { labels, value } of family.series) {
      if (typeof value !== 'number') pushDistribution(lines, family.name, labels, value, form);
      else lines.push(`${family.type === 'counter' ? `${family.name}_total` : family.name}${braces(labels)} ${number(value)}`);
    }
  }
  if (form === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function pushDistribution(lines: string[], name: string, labels: Labels, value: Distribution, form: Exposition): void {
  let below = 0;
  for (const [index, count] of value.counts.entries()) {
    below += count;
    const le = value.bounds[index];
    const bucket = `${name}_bucket${braces({ ...labels, le: le === undefined ? '+Inf' : bound(le, form) })} ${below}`;
    const exemplar = form === 'openmetrics' ? (value.exemplars[index] ?? null) : null;
    lines.push(exemplar === null ? bucket : `${bucket} ${exemplarText(exemplar)}`);
  }
  lines.push(`${name}_sum${braces(labels)} ${number(value.sum)}`, `${name}_count${braces(labels)} ${below}`);
}

function exemplarText({ label, id, value }: Exemplar): string {
  return `# ${braces({ [label]: id })} ${number(value)}`;
}

function braces(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** OpenMetrics wants `1.0` where a bound is whole. */
function bound(value: number, form: Exposition): string {
  return form === 'openmetrics' && Number.isInteger(value) ? `${value}.0` : String(value);
}

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
