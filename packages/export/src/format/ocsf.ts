import type { Entry } from '@sallyport/ledger';
import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from './severity.ts';

/** OCSF 1.8.0 (schema.ocsf.io): which class an entry is of, and what that class asks for beyond the base event. */
export const OCSF_VERSION = '1.8.0';

interface Class {
  readonly category_uid: number;
  readonly class_uid: number;
  readonly activity_id: number;
  readonly activity_name: string;
}

/** Activities of API Activity (6003), by the last word of an action; anything else is 99, Other. */
const CRUD: ReadonlyMap<string, number> = new Map([
  ['create', 1],
  ['read', 2],
  ['list', 2],
  ['update', 3],
  ['rotate', 3],
  ['delete', 4],
  ['revoke', 4],
]);
const LIFECYCLE: ReadonlyMap<string, number> = new Map([
  ['process.start', 3],
  ['process.stop', 4],
  ['configuration.reload', 8],
]);
const OTHER = 99;

function classOf({ kind, action }: Entry): Class {
  const activity_name = action;
  switch (kind) {
    case 'auth':
      return { category_uid: 3, class_uid: 3002, activity_id: 1, activity_name: 'Logon' };
    case 'finding':
      return { category_uid: 2, class_uid: 2004, activity_id: 1, activity_name: 'Create' };
    case 'system':
      return { category_uid: 6, class_uid: 6002, activity_id: LIFECYCLE.get(action) ?? OTHER, activity_name };
    case 'request':
    case 'decision':
    case 'change':
    case 'tool':
      return { category_uid: 6, class_uid: 6003, activity_id: CRUD.get(action.split('.').at(-1) ?? '') ?? OTHER, activity_name };
  }
}

/** `status_id`: 1 Success, 2 Failure, 0 Unknown while it is open. */
function statusOf({ outcome }: Entry): { readonly status_id: number; readonly status: string } {
  if (outcome === 'answered' || outcome === 'done') return { status_id: 1, status: 'Success' };
  if (outcome === 'open') return { status_id: 0, status: 'Unknown' };
  return { status_id: 2, status: 'Failure' };
}

/** Profile `security_control`: what was done about it. */
function controlOf({ outcome, decision, verdicts }: Entry): Record<string, unknown> {
  const modified = verdicts.some(({ action }) => action === 'redact');
  const [action_id, disposition_id] =
    outcome === 'blocked'
      ? [2, 2]
      : decision?.effect === 'deny'
        ? [2, 26]
        : outcome === 'refused'
          ? [2, 25]
          : modified
            ? [4, 11]
            : verdicts.length > 0
              ? [3, 15]
              : [1, 1];
  return {
    action_id,
    disposition_id,
    is_alert: outcome === 'blocked',
    ...(decision === null
      ? {}
      : {
          policy: { name: decision.rule, is_applied: true },
          authorizations: [{ decision: decision.effect, policy: { name: decision.rule } }],
        }),
  };
}

/** An entry as an OCSF 1.8 event. `version` is Sallyport's own. What OCSF has no place for is under `unmapped`. */
export function ocsfEvent({ entry, log }: SoundEvent, version: string): Record<string, unknown> {
  const base = classOf(entry);
  const product = { name: 'Sallyport', vendor_name: 'Sallyport', version };
  const { principal, source, model, usage } = entry;
  const user =
    principal === null
      ? null
      : { uid: principal.id, name: principal.id, credential_uid: principal.credential, org: { name: principal.tenant } };
  const service = { name: 'sallyport', version };
  const profiles = ['security_control', ...(model === null ? [] : ['ai_operation'])];
  return {
    ...base,
    type_uid: base.class_uid * 100 + base.activity_id,
    severity_id: LEVELS[severityOf(entry)].ocsf,
    time: Date.parse(entry.time),
    ...statusOf(entry),
    ...(entry.fault === null ? {} : { status_code: entry.fault }),
    message: `${entry.kind} ${entry.action}: ${entry.outcome}`,
    metadata: {
      version: OCSF_VERSION,
      product,
      profiles,
      uid: entry.hash,
      correlation_uid: entry.id,
      event_code: entry.action,
      log_name: log,
      original_time: entry.time,
      // OCSF's integer has 32 bits.
      sequence: entry.seq % 2 ** 31,
      ...(principal === null ? {} : { tenant_uid: principal.tenant }),
    },
    ...controlOf(entry),
    ...(entry.latency === null ? {} : { duration: Math.round(entry.latency.total) }),
    ...(model === null
      ? {}
      : {
          ai_model: {
            ai_provider: model.upstream ?? 'none',
            name: model.name,
            ...(model.artifact === null ? {} : { version: model.artifact }),
          },
          message_context: {
            service,
            ...(usage === null
              ? {}
              : { prompt_tokens: usage.input, completion_tokens: usage.output, total_tokens: usage.input + usage.output }),
          },
        }),
    ...ofClass(entry, base.class_uid, { user, service, product }),
    unmapped: {
      kind: entry.kind,
      outcome: entry.outcome,
      prev: entry.prev,
      seq: entry.seq,
      digest: entry.digest,
      latency: entry.latency,
      verdicts: entry.verdicts,
      detail: entry.detail,
      ...(source?.tls == null ? {} : { tls: source.tls }),
    },
  };
}

interface Parts {
  readonly user: Record<string, unknown> | null;
  readonly service: Record<string, unknown>;
  readonly product: Record<string, unknown>;
}

/** Members that only some classes have. */
function ofClass(entry: Entry, classUid: number, { user, service, product }: Parts): Record<string, unknown> {
  const { source, resource } = entry;
  const actor = user === null ? { app_name: 'sallyport' } : { user };
  const src_endpoint = source === null ? { name: 'local' } : { ip: source.ip, port: source.port };
  const resources = resource === null ? {} : { resources: [{ name: resource }] };
  switch (classUid) {
    case 3002:
      return { user: user ?? { name: 'unknown' }, actor, src_endpoint, service };
    case 2004:
      return {
        finding_info: {
          uid: entry.hash,
          title: entry.action,
          product,
          types: [...new Set(entry.verdicts.map(({ category }) => category))],
        },
        ...resources,
      };
    case 6002:
      return { app: { name: 'sallyport', version: product['version'] } };
    default:
      return { actor, src_endpoint, api: { operation: entry.action, service, request: { uid: entry.id } }, ...resources };
  }
}
