import type { EntryFacts } from '@sallyport/core';
import { EFFECTS, ENTRY_KINDS, ENTRY_LIMITS, HASH_MEMBER, InvalidEntry, OUTCOMES, PRINCIPAL_KINDS, printable } from './entry.ts';

/** The canonical entry in two halves; the member `hash` belongs between them. `head + tail` is the Merkle leaf. */
export interface SerialisedEntry {
  readonly head: string;
  readonly tail: string;
}

/**
 * Canonical JSON (RFC 8785) of an entry: members sorted, no white space. Hand-written for the fixed shape because every request
 * pays for it; `test/serialise.test.ts` holds it against a general canonicaliser and against the published schema.
 * `digests` stand in place of those in the facts.
 * @throws {InvalidEntry} for anything outside `EntryFacts` and `ENTRY_LIMITS`
 */
export function serialiseEntry(
  facts: EntryFacts,
  seq: number,
  time: string,
  prev: string,
  digests: EntryFacts['digest'] = facts.digest,
): SerialisedEntry {
  members(facts, 'entry', 15);
  const head =
    `{"action":${text(facts.action, 'action', ENTRY_LIMITS.name)},"decision":${decision(facts.decision)}` +
    `,"detail":${detail(facts.detail)},"digest":${digest(digests)}` +
    `,"fault":${textOrNull(facts.fault, 'fault', ENTRY_LIMITS.name)}`;
  const tail =
    `,"id":${text(facts.id, 'id', ENTRY_LIMITS.id)},"kind":${word(facts.kind, 'kind', ENTRY_KINDS)}` +
    `,"latency":${latency(facts.latency)},"model":${model(facts.model)},"outcome":${word(facts.outcome, 'outcome', OUTCOMES)}` +
    `,"prev":"${prev}","principal":${principal(facts.principal)},"resource":${textOrNull(facts.resource, 'resource', ENTRY_LIMITS.text)}` +
    `,"seq":${seq},"source":${source(facts.source)},"time":"${time}","usage":${usage(facts.usage)},"verdicts":${verdicts(facts.verdicts)}}`;
  const units = head.length + tail.length + HASH_MEMBER;
  if (units * 3 > ENTRY_LIMITS.bytes && Buffer.byteLength(head) + Buffer.byteLength(tail) + HASH_MEMBER > ENTRY_LIMITS.bytes) {
    throw new InvalidEntry('entry', `at most ${ENTRY_LIMITS.bytes} bytes`);
  }
  return { head, tail };
}

function decision(value: EntryFacts['decision']): string {
  if (value === null) return 'null';
  members(value, 'decision', 2);
  return `{"effect":${word(value.effect, 'decision.effect', EFFECTS)},"rule":${text(value.rule, 'decision.rule', ENTRY_LIMITS.name)}}`;
}

function digest(value: EntryFacts['digest']): string {
  members(value, 'digest', 2);
  return `{"prompt":${hexOrNull(value.prompt, 'digest.prompt')},"reply":${hexOrNull(value.reply, 'digest.reply')}}`;
}

function latency(value: EntryFacts['latency']): string {
  if (value === null) return 'null';
  members(value, 'latency', 3);
  const ttft = value.ttft === null ? 'null' : milliseconds(value.ttft, 'latency.ttft');
  return `{"overhead":${milliseconds(value.overhead, 'latency.overhead')},"total":${milliseconds(value.total, 'latency.total')},"ttft":${ttft}}`;
}

function model(value: EntryFacts['model']): string {
  if (value === null) return 'null';
  members(value, 'model', 3);
  const artifact = textOrNull(value.artifact, 'model.artifact', ENTRY_LIMITS.name);
  const upstream = textOrNull(value.upstream, 'model.upstream', ENTRY_LIMITS.name);
  return `{"artifact":${artifact},"name":${text(value.name, 'model.name', ENTRY_LIMITS.name)},"upstream":${upstream}}`;
}

function principal(value: EntryFacts['principal']): string {
  if (value === null) return 'null';
  members(value, 'principal', 4);
  return (
    `{"credential":${text(value.credential, 'principal.credential', ENTRY_LIMITS.name)}` +
    `,"id":${text(value.id, 'principal.id', ENTRY_LIMITS.name)},"kind":${word(value.kind, 'principal.kind', PRINCIPAL_KINDS)}` +
    `,"tenant":${text(value.tenant, 'principal.tenant', ENTRY_LIMITS.name)}}`
  );
}

function source(value: EntryFacts['source']): string {
  if (value === null) return 'null';
  members(value, 'source', 3);
  const tls = textOrNull(value.tls, 'source.tls', ENTRY_LIMITS.name);
  return `{"ip":${text(value.ip, 'source.ip', ENTRY_LIMITS.name)},"port":${count(value.port, 'source.port')},"tls":${tls}}`;
}

function usage(value: EntryFacts['usage']): string {
  if (value === null) return 'null';
  members(value, 'usage', 4);
  if (typeof value.exact !== 'boolean') throw new InvalidEntry('usage.exact', 'a boolean');
  return (
    `{"cached":${count(value.cached, 'usage.cached')},"exact":${value.exact}` +
    `,"input":${count(value.input, 'usage.input')},"output":${count(value.output, 'usage.output')}}`
  );
}

function verdicts(list: EntryFacts['verdicts']): string {
  if (!Array.isArray(list)) throw new InvalidEntry('verdicts', 'an array');
  if (list.length > ENTRY_LIMITS.verdicts) throw new InvalidEntry('verdicts', `at most ${ENTRY_LIMITS.verdicts} long`);
  let out = '[';
  for (const value of list) {
    members(value, 'verdicts[]', 4);
    out +=
      `${out.length > 1 ? ',' : ''}{"action":${text(value.action, 'verdicts[].action', ENTRY_LIMITS.id)}` +
      `,"category":${text(value.category, 'verdicts[].category', ENTRY_LIMITS.id)},"count":${count(value.count, 'verdicts[].count')}` +
      `,"detector":${text(value.detector, 'verdicts[].detector', ENTRY_LIMITS.id)}}`;
  }
  return `${out}]`;
}

const DETAIL_KEY = /^[a-z][A-Za-z0-9_.-]{0,63}$/;

function detail(value: EntryFacts['detail']): string {
  if (!isObject(value)) throw new InvalidEntry('detail', 'an object');
  const keys = Object.keys(value);
  if (keys.length === 0) return '{}';
  if (keys.length > ENTRY_LIMITS.detailKeys) throw new InvalidEntry('detail', `at most ${ENTRY_LIMITS.detailKeys} members`);
  // Plain comparison is RFC 8785's order, by UTF-16 units.
  if (keys.length > 1) keys.sort();
  let out = '{';
  for (const key of keys) {
    if (!DETAIL_KEY.test(key)) throw new InvalidEntry('detail', `keyed by names like "bytesRead"; one key is not`);
    out += `${out.length > 1 ? ',' : ''}"${key}":${scalar(value[key], key)}`;
  }
  return `${out}}`;
}

function scalar(value: unknown, key: string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return text(value, `detail.${key}`, ENTRY_LIMITS.text);
  // `String` of a finite number is RFC 8785's form, -0 included.
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  throw new InvalidEntry(`detail.${key}`, 'a string, a finite number, a boolean or null');
}

/** Every known member is read below and must be defined, so a count is enough to refuse an unknown one. */
function members(value: object, field: string, expected: number): void {
  if (!isObject(value)) throw new InvalidEntry(field, 'an object');
  if (Object.keys(value).length !== expected) throw new InvalidEntry(field, `an object of its ${expected} known members and no other`);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Printable ASCII without `"` and `\`: nothing to escape. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function text(value: string, field: string, limit: number): string {
  if (typeof value !== 'string') throw new InvalidEntry(field, 'a string');
  if (value.length > limit) throw new InvalidEntry(field, `at most ${limit} long`);
  // What is left after `printable` needs no escape but `\"` and `\\`, on which JSON.stringify and RFC 8785 agree.
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(printable(value, limit));
}

function textOrNull(value: string | null, field: string, limit: number): string {
  return value === null ? 'null' : text(value, field, limit);
}

function word(value: string, field: string, words: Readonly<Record<string, true>>): string {
  if (typeof value !== 'string' || !Object.hasOwn(words, value)) {
    throw new InvalidEntry(field, `one of ${Object.keys(words).join(', ')}`);
  }
  return `"${value}"`;
}

/** The length is compared beside it: counting in the expression takes three times as long. */
const HEX = /^[0-9a-f]*$/;

function hexOrNull(value: string | null, field: string): string {
  if (value === null) return 'null';
  if (typeof value !== 'string' || value.length !== 64 || !HEX.test(value))
    throw new InvalidEntry(field, '64 lowercase hex digits or null');
  return `"${value}"`;
}

function count(value: number, field: string): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidEntry(field, 'a whole number from 0');
  return String(value);
}

/** Milliseconds, to the microsecond: more digits would only record the timer's noise. */
function milliseconds(value: number, field: string): string {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1e12)) throw new InvalidEntry(field, 'milliseconds from 0');
  return String(Math.round(value * 1000) / 1000);
}
