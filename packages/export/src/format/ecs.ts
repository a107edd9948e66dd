import type { Entry } from '@sallyport/ledger';
import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from './severity.ts';

/** Elastic Common Schema (github.com/elastic/ecs). What it has no field for is under `sallyport`, a name space of our own. */
export const ECS_VERSION = '9.4.0';

interface Categories {
  readonly category: readonly string[];
  readonly type: readonly string[];
}

/** `event.category` and `event.type`, which have closed vocabularies and belong together. */
function categoriesOf({ kind, action, outcome }: Entry): Categories {
  const refused = outcome === 'refused' || outcome === 'blocked';
  switch (kind) {
    case 'request':
    case 'tool':
    case 'decision':
      return { category: ['api'], type: [refused ? 'denied' : 'allowed'] };
    case 'auth':
      return { category: ['authentication'], type: ['info'] };
    case 'finding':
      return { category: ['intrusion_detection'], type: [refused ? 'denied' : 'info'] };
    case 'change':
      return { category: [/^(key|user|role)\./.test(action) ? 'iam' : 'configuration'], type: [changeOf(action)] };
    case 'system':
      return action.startsWith('configuration.')
        ? { category: ['configuration'], type: ['change'] }
        : { category: ['process'], type: [processOf(action)] };
  }
}

function changeOf(action: string): string {
  if (/\.(create|import|set-up)$/.test(action)) return 'creation';
  return /\.(delete|revoke)$/.test(action) ? 'deletion' : 'change';
}

function processOf(action: string): string {
  if (/\.(start|open)$/.test(action)) return 'start';
  return /\.(stop|close)$/.test(action) ? 'end' : 'info';
}

function outcomeOf({ outcome }: Entry): string {
  if (outcome === 'answered' || outcome === 'done') return 'success';
  return outcome === 'open' || outcome === 'abandoned' ? 'unknown' : 'failure';
}

/** An entry as an ECS document. `version` is Sallyport's own, `host` where it runs. */
export function ecsEvent({ entry, log }: SoundEvent, version: string, host: string): Record<string, unknown> {
  const { principal, source, model, usage, latency, decision } = entry;
  const severity = severityOf(entry);
  return {
    '@timestamp': entry.time,
    ecs: { version: ECS_VERSION },
    message: `${entry.kind} ${entry.action}: ${entry.outcome}`,
    log: { level: LEVELS[severity].text.toLowerCase() },
    event: {
      id: entry.hash,
      kind: entry.outcome === 'blocked' || entry.kind === 'finding' ? 'alert' : 'event',
      ...categoriesOf(entry),
      action: entry.action,
      outcome: outcomeOf(entry),
      ...(entry.fault === null ? {} : { code: entry.fault }),
      sequence: entry.seq,
      severity: LEVELS[severity].syslog,
      module: 'sallyport',
      dataset: 'sallyport.audit',
      provider: log,
      hash: entry.hash,
      ...(latency === null ? {} : { duration: Math.round(latency.total * 1e6) }),
    },
    service: { name: 'sallyport', type: 'sallyport', version },
    host: { hostname: host },
    http: { request: { id: entry.id } },
    ...(principal === null
      ? {}
      : { user: { id: principal.id }, organization: { id: principal.tenant }, related: { user: [principal.id] } }),
    ...(source === null ? {} : { source: { ip: source.ip, port: source.port } }),
    ...(source?.tls == null ? {} : { tls: { version: source.tls.replace(/^TLSv/, ''), version_protocol: 'tls' } }),
    ...(decision === null ? {} : { rule: { name: decision.rule } }),
    ...(model === null
      ? {}
      : {
          gen_ai: {
            request: { model: model.name },
            ...(model.upstream === null ? {} : { system: model.upstream }),
            ...(usage === null ? {} : { usage: { input_tokens: usage.input, output_tokens: usage.output } }),
          },
        }),
    sallyport: {
      log,
      kind: entry.kind,
      outcome: entry.outcome,
      resource: entry.resource,
      prev: entry.prev,
      principal: principal === null ? null : { kind: principal.kind, credential: principal.credential },
      decision: decision === null ? null : { effect: decision.effect },
      model: model === null ? null : { artifact: model.artifact },
      latency,
      verdicts: entry.verdicts,
      digest: entry.digest,
      detail: entry.detail,
    },
  };
}
