import type { JsonObject, JsonValue } from '../json/document.ts';
import { type Check, isObject, listed } from './check.ts';
import type { Reading } from './reading.ts';
import type { RestrictedRule, RuleSet } from './restricted.ts';
import { anythingWithUrls } from './walk.ts';

interface Member {
  readonly check: Check;
  readonly required: boolean;
  readonly rule: RestrictedRule | null;
}

/** A member that must be there and must not be null. Every other member may be absent or null: upstreams treat both alike. */
export interface Required {
  readonly required: Check;
}

export type Members = Readonly<Record<string, Check | Required>>;

export interface ObjectOptions {
  /** Fields of this object that need a permission. */
  readonly rules?: RuleSet;
  /** Names that carry media in a sibling format. An engine that looks at names instead of `type` would take them up, so they are refused. */
  readonly foreign?: readonly string[];
}

export function required(check: Check): Required {
  return { required: check };
}

const unknownField = anythingWithUrls('metadata');

/**
 * An object with known members. Unknown ones pass (upstreams have many extensions) but their text is addressed, and a name that
 * differs from a known one only in case is refused: Go's JSON decoder, which Ollama uses, takes `Model` for `model`, and the last one
 * wins, so what was checked would not be what is used.
 */
export function object(members: Members, options: ObjectOptions = {}): Check {
  const table = memberTable(members, options.rules ?? null);
  const mandatory = Object.keys(members).filter((name) => typeof members[name] !== 'function');
  const foreign = new Set(options.foreign);
  const otherwise = options.rules?.otherwise ?? null;

  return (value, at) => {
    if (!isObject(value)) return at.refuse('must be an object');
    const { path } = at;
    let unknown: string[] | null = null;
    for (const name in value) {
      const content = value[name] ?? null;
      const member = table.get(name);
      path.push(name);
      if (member === undefined) {
        refuseLookalike(name, table, at);
        if (content !== null && foreign.has(name)) return at.refuse('does not belong to this type of part');
        if (content !== null && otherwise?.applies(name, content) === true) at.restrict(otherwise);
        unknown ??= [];
        unknown.push(name);
        unknownField(content, at);
      } else if (content !== null || member.required) {
        if (member.rule?.applies(name, content) === true) at.restrict(member.rule);
        member.check(content, at);
      }
      path.pop();
    }
    for (const name of mandatory) if (value[name] === undefined) missing(name, at);
    if (unknown !== null) at.addFixedText(unknown.join('\n'), 'metadata');
  };
}

function memberTable(members: Members, rules: RuleSet | null): ReadonlyMap<string, Member> {
  const table = new Map<string, Member>();
  for (const [name, rule] of rules?.fields ?? [])
    table.set(name, { check: anythingWithUrls(rule.provenance ?? 'metadata'), required: false, rule });
  for (const [name, member] of Object.entries(members)) {
    const rule = rules?.fields.get(name) ?? null;
    table.set(
      name,
      typeof member === 'function' ? { check: member, required: false, rule } : { check: member.required, required: true, rule },
    );
  }
  return table;
}

function refuseLookalike(name: string, table: ReadonlyMap<string, Member>, at: Reading): void {
  // Upper then lower folds the two letters outside ASCII that Go also takes for ASCII ones: U+017F (s) and U+212A (k).
  const folded = name.toUpperCase().toLowerCase();
  if (folded !== name && table.has(folded)) at.refuse(`is not a known field; write it as ${folded}`);
}

function missing(name: string, at: Reading): never {
  at.path.push(name);
  return at.refuse('is required');
}

/**
 * One of several objects, told apart by the string in `tag`. Unknown tags are refused: what an upstream makes of them cannot be
 * judged. `otherwise` takes them where they are judged by other means, `untagged` names the format of an object without a tag.
 */
export function variants(
  tag: string,
  table: Readonly<Record<string, Check>>,
  options: { readonly otherwise?: Check; readonly untagged?: string } = {},
): Check {
  const checks = new Map(Object.entries(table));
  const names = listed([...checks.keys()]);
  return (value, at) => {
    if (!isObject(value)) return at.refuse('must be an object');
    const name = tagOf(value, tag) ?? options.untagged;
    const check = typeof name === 'string' ? checks.get(name) : undefined;
    if (check !== undefined) return check(value, at);
    if (options.otherwise !== undefined && typeof name === 'string') return options.otherwise(value, at);
    at.path.push(tag);
    return at.refuse(name === undefined ? 'is required' : `must be ${names}`);
  };
}

function tagOf(value: JsonObject, tag: string): JsonValue | undefined {
  return value[tag] ?? undefined;
}

/** The tag of a variant: already compared by `variants`, so there is nothing left to say about it. */
export const tag: Check = () => {};
