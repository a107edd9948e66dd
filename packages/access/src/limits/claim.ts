import { hash } from 'node:crypto';
import type { LimitQuantity, LimitRule, Price, Principal, Usage } from '@sallyport/core';
import { networkOf } from '../address.ts';
import { ModelSet } from '../policy-glob.ts';

/** Tokens a request may use, before anybody has counted them. */
export interface LimitEstimate {
  readonly input: number;
  readonly output: number;
  /** False where the client set no bound: the output reserved is then no more than there is room for. */
  readonly outputBounded: boolean;
}

/** Who asks for what: everything a rule's dimension may be taken from. */
export interface LimitSubject {
  readonly principal: Principal;
  readonly model: string | null;
  readonly upstream: string | null;
  readonly address: string;
  /** The client's own name of the session, attacker's data of bounded length; null counts by credential. */
  readonly session: string | null;
  /** What the model's tokens cost; null where they cost nothing. */
  readonly price: Price | null;
}

/** In place of a session or an address: one of those that a caller has too many of, which share a bucket. No client can send it. */
export const CROWD = '\n';

/** What one rule is asked for on behalf of a request. */
export interface Claim {
  readonly rule: LimitRule;
  /** Names the bucket: rule and value of its dimension. Two callers never share one by choosing their names. */
  readonly bucket: string;
  /** Without room for this much the request is refused. */
  readonly least: number;
  /** Taken where there is room for it. */
  readonly most: number;
}

/** The rules of one snapshot: those for everybody, and those of single keys by key id. */
export interface LimitRules {
  readonly rules: readonly LimitRule[];
  readonly keyRules: (keyId: string) => readonly LimitRule[];
}

/** What is worked out once for a rule. Rules are frozen with their snapshot. */
interface Known {
  readonly models: ModelSet | null;
  readonly prefix: string;
}

const known = new WeakMap<LimitRule, Known>();

function knownOf(rule: LimitRule): Known {
  let found = known.get(rule);
  if (found === undefined) {
    const calendar = rule.calendar === undefined ? null : [rule.calendar.unit, rule.calendar.zone];
    found = {
      models: rule.models === null ? null : new ModelSet(rule.models),
      prefix: prefixOf(JSON.stringify([rule.name, rule.quantity, rule.window, calendar, rule.per, rule.models])),
    };
    known.set(rule, found);
  }
  return found;
}

/** Short, because it is looked up for every request; 72 bits of it keep any two rules apart. */
function prefixOf(identity: string): string {
  return `${hash('sha256', identity, 'base64url').slice(0, 12)}:`;
}

/** The claims of a request on every rule that applies to it, in the order of the rules. */
export function claimsOf(rules: LimitRules, subject: LimitSubject, estimate: LimitEstimate): Claim[] {
  const claims: Claim[] = [];
  for (const rule of rules.rules) addClaims(claims, rule, subject, estimate);
  const { credential } = subject.principal;
  if (credential.kind === 'api-key') for (const rule of rules.keyRules(credential.id)) addClaims(claims, rule, subject, estimate);
  return claims;
}

/**
 * The buckets of a subject of whom only the dimensions in `known` are known, with nothing claimed of them. Rules for some models only
 * are among them where no model is named: their buckets are not by model.
 */
export function bucketsOf(rules: LimitRules, subject: LimitSubject, known: ReadonlySet<LimitRule['per']>): Claim[] {
  const claims: Claim[] = [];
  const { credential } = subject.principal;
  const own = credential.kind === 'api-key' ? rules.keyRules(credential.id) : [];
  for (const rule of [...rules.rules, ...own]) {
    const { models } = knownOf(rule);
    const applies = models === null || subject.model === null || models.has(subject.model);
    if (applies && known.has(rule.per)) addBuckets(claims, rule, subject, 0, 0);
  }
  return claims;
}

function addClaims(claims: Claim[], rule: LimitRule, subject: LimitSubject, estimate: LimitEstimate): void {
  const { models } = knownOf(rule);
  if (models !== null && (subject.model === null || !models.has(subject.model))) return;
  const most = amountOf(rule.quantity, estimate.input, estimate.output, 0, subject.price);
  const least = estimate.outputBounded || estimate.output === 0 ? most : amountOf(rule.quantity, estimate.input, 1, 0, subject.price);
  addBuckets(claims, rule, subject, least, most);
}

function addBuckets(claims: Claim[], rule: LimitRule, subject: LimitSubject, least: number, most: number): void {
  const { prefix } = knownOf(rule);
  if (rule.per === 'role') for (const role of subject.principal.roles) addClaim(claims, { rule, bucket: prefix + role, least, most });
  else {
    const value = bucketValue(rule.per, subject);
    if (value !== null) addClaim(claims, { rule, bucket: prefix + value, least, most });
  }
}

/** A bucket is claimed once: of two rules that count the same (a key may be given such), the stricter one decides. */
function addClaim(claims: Claim[], claim: Claim): void {
  for (let at = 0; at < claims.length; at += 1) {
    if (claims[at]?.bucket !== claim.bucket) continue;
    if (claim.rule.amount < (claims[at]?.rule.amount ?? 0)) claims[at] = claim;
    return;
  }
  claims.push(claim);
}

/** The value of a rule's dimension for a request, or null where the request has no such thing. */
function bucketValue(
  per: Exclude<LimitRule['per'], 'role'>,
  { principal, model, upstream, address, session }: LimitSubject,
): string | null {
  switch (per) {
    case 'key':
      return callerOf(principal);
    case 'user':
      return principal.user === null ? pair(principal.tenant, `p:${principal.id}`) : pair(principal.tenant, `u:${principal.user}`);
    case 'team':
      return principal.team === null ? null : pair(principal.tenant, principal.team);
    case 'tenant':
      return principal.tenant;
    case 'model':
      return model;
    case 'upstream':
      return upstream;
    case 'address':
      return address === CROWD ? pair(callerOf(principal), 'a') : networkOf(address);
    case 'session':
      if (session === null) return callerOf(principal);
      return pair(callerOf(principal), session === CROWD ? 's' : `s:${session}`);
    case 'global':
      return '';
  }
}

/** The value of its rule's dimension that a bucket of `subject` counts for, for people: a key's id, a tenant, `*` for everybody. */
export function describeBucket({ rule: { per }, bucket }: Claim, subject: LimitSubject): string {
  const { principal, model, upstream, address, session } = subject;
  switch (per) {
    case 'key':
      return principal.credential.kind === 'api-key' ? principal.credential.id : principal.id;
    case 'user':
      return principal.user ?? principal.id;
    case 'team':
      return principal.team ?? '';
    case 'tenant':
      return principal.tenant;
    case 'role':
      return bucket.slice(bucket.indexOf(':') + 1);
    case 'model':
      return model ?? '';
    case 'upstream':
      return upstream ?? '';
    case 'address':
      return networkOf(address);
    case 'session':
      return session ?? callerOf(principal);
    case 'global':
      return '*';
  }
}

/** Tokens and certificates are renewed; a fresh one must not bring a fresh limit. */
export function callerOf({ credential, tenant, id }: Principal): string {
  return credential.kind === 'api-key' ? `k:${credential.id}` : pair(tenant, id);
}

/** Names are the caller's: with the length of the first no two pairs look alike. */
function pair(first: string, second: string): string {
  return `${first.length}:${first}${second}`;
}

/** What tokens cost, in millionths of the currency unit, rounded up: a price below one millionth is not for nothing. */
export function costOf(price: Price | null, input: number, output: number, cached: number): number {
  if (price === null) return 0;
  const hits = Math.min(cached, input);
  return Math.ceil((input - hits) * price.input + hits * price.cached + output * price.output);
}

function amountOf(quantity: LimitQuantity, input: number, output: number, cached: number, price: Price | null): number {
  switch (quantity) {
    case 'input-tokens':
      return input;
    case 'output-tokens':
      return output;
    case 'tokens':
      return input + output;
    case 'spend':
      return costOf(price, input, output, cached);
    case 'requests':
    case 'concurrency':
      return 1;
  }
}

/** What counts of a finished request, or null where its tokens make no difference. */
export function usedOf({ quantity }: LimitRule, usage: Usage, price: Price | null): number | null {
  if (quantity === 'requests' || quantity === 'concurrency') return null;
  return amountOf(quantity, usage.input, usage.output, usage.cached, price);
}
