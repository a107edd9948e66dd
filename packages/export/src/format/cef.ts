import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from './severity.ts';

/** ArcSight Common Event Format 0 (implementation standard, revision 25): `CEF:0|vendor|product|version|id|name|severity|extension`. */
export function cefLine({ entry, log }: SoundEvent, version: string): string {
  const { principal, source, model, usage, latency, decision, verdicts } = entry;
  const fields: [string, string | number | null | undefined][] = [
    ['rt', Date.parse(entry.time)],
    ['externalId', entry.hash.slice(0, 40)],
    ['act', entry.action],
    ['outcome', entry.outcome],
    ['reason', entry.fault],
    ['src', source?.ip],
    ['spt', source?.port],
    ['suser', principal?.id],
    ['deviceExternalId', log],
    ['cat', entry.kind],
    ['request', entry.resource],
    ['requestContext', entry.id],
    ...labelled('cs1', 'tenant', principal?.tenant),
    ...labelled('cs2', 'credential', principal?.credential),
    ...labelled('cs3', 'model', model?.name),
    ...labelled('cs4', 'rule', decision?.rule),
    ...labelled(
      'cs5',
      'findings',
      verdicts.length === 0 ? null : verdicts.map(({ detector, category }) => `${detector}/${category}`).join(' '),
    ),
    ...labelled('cs6', 'entry', `${log}/${entry.seq}`),
    ...labelled('cn1', 'inputTokens', usage?.input),
    ...labelled('cn2', 'outputTokens', usage?.output),
    ...labelled('cn3', 'milliseconds', latency === null ? null : Math.round(latency.total)),
  ];
  const extension = fields.flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [`${key}=${extensionValue(String(value))}`],
  );
  const name = `${entry.kind} ${entry.outcome}`;
  const head = ['CEF:0', 'Sallyport', 'Sallyport', version, entry.action, name, String(LEVELS[severityOf(entry)].cef)];
  return `${head.map(headerField).join('|')}|${extension.join(' ')}`;
}

function labelled(key: string, label: string, value: string | number | null | undefined): [string, string | number | null | undefined][] {
  return value === null || value === undefined
    ? []
    : [
        [key, value],
        [`${key}Label`, label],
      ];
}

/** In the header `\` and `|` are escaped; a line break cannot be. */
function headerField(text: string): string {
  return text.replace(/[\\|]/g, '\\$&').replace(/[\r\n]+/g, ' ');
}

/** In the extension `\`, `=` and line breaks are. */
function extensionValue(text: string): string {
  return text.replace(/[\\=]/g, '\\$&').replace(/\r?\n/g, '\\n').replace(/\r/g, '\\r');
}
