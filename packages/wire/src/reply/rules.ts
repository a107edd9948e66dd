import type { JsonObject, JsonValue } from '../json/document.ts';
import type { ReplyTextKind } from './format.ts';
import type { Reading } from './reading.ts';
import type { Place } from './splice.ts';

/**
 * Rules say what a member of a reply is. Everything an upstream sends is untrusted, so the default is to address it as text: a member
 * is left out of inspection only where a rule here says that it cannot carry any, and checks its shape.
 */
export type Rule = (r: Reading, value: JsonValue, at: Place | null, key: string | number, base: string) => void;

/** Walks the members of an object that sits at `place`. */
export type Members = (r: Reading, object: JsonObject, place: Place | null, base: string) => void;

/** Shapes of members that are not text. What does not fit is addressed as text after all. */
export const ID: RegExp = /^[\w.:-]{1,128}$/;
/** Types, roles, reasons, states: words of the protocol. */
export const WORD: RegExp = /^[a-z][a-z0-9_.-]{0,63}$/;
export const DATE: RegExp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
export const DIGEST: RegExp = /^sha256:[0-9a-f]{64}$/;
/** Base64 of either alphabet: images, audio, vectors, signatures and sealed reasoning. */
export const BLOB: RegExp = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Names that a program wrote; others are addressed as text. */
const NAME = /^[A-Za-z_$][\w$.:/-]{0,63}$/;
/** Shorter numbers say too little to be personal or secret: a card or telephone number has more digits. */
const SHORTEST_NUMBER = 7;
/** Positions beyond this are no server's; they would only make channels. */
const MAX_INDEX = 4095;

interface Nest {
  readonly kind: ReplyTextKind;
  readonly mode: 'delta' | 'whole' | null;
  /** The model chose the names and numbers, so they are text too. */
  readonly authored: boolean;
  /** Members that are not text, wherever they are inside. */
  readonly known: ReadonlyMap<string, Rule>;
}

const NONE: ReadonlyMap<string, Rule> = new Map();

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A piece of text of channel `base/suffix`. */
export function text(kind: ReplyTextKind, suffix: string, mode: 'delta' | 'whole' | null = null): Rule {
  // The same channel comes again and again; the last name is kept so that it need not be put together for every token.
  let lastBase = '';
  let lastChannel = suffix;
  const other: Nest = { kind, mode, authored: true, known: NONE };
  return (r, value, at, key, base) => {
    // A client may make a text of a number or an object too; its parts are growing texts as well.
    if (typeof value !== 'string') return walk(r, value, at, key, base, join(base, suffix), other);
    if (base !== lastBase) {
      lastBase = base;
      lastChannel = `${base}/${suffix}`;
    }
    r.add(lastChannel, kind, mode ?? r.mode, value, 'value', at, key);
  };
}

/** A string that is no text as long as it has the given shape. */
export function shaped(pattern: RegExp): Rule {
  let last = '';
  return (r, value, at, key, base) => {
    if (typeof value === 'number' || (typeof value === 'string' && (value === last || value === ''))) return;
    if (typeof value !== 'string' || !pattern.test(value)) return unknown(r, value, at, key, base);
    if (value.length <= 128) last = value;
  };
}

export const id: Rule = shaped(ID);
export const word: Rule = shaped(WORD);
export const blob: Rule = shaped(BLOB);

/** The upstream's name of the model. Not text: the gateway puts the public name in its place. */
export const model: Rule = (r, value, at, key, base) => {
  if (typeof value !== 'string' || typeof key !== 'string') return unknown(r, value, at, key, base);
  r.models.push({ at, key, name: value });
};

/** Why the reply ended: a word of the protocol. */
export const finish: Rule = (r, value, at, key, base) => {
  if (typeof value === 'string' && WORD.test(value)) r.reason = value;
  word(r, value, at, key, base);
};

/** An error of the upstream. Its words are addressed too, although a gateway should not pass them on. */
export const error: Rule = (r, value, at, key, base) => {
  r.isError = true;
  unknown(r, value, at, key, base);
};

/** Token ids and the like: numbers that say the same as the texts in `at`. */
export const echo: Rule = (r, value, at, key, base) => {
  r.echoes.push({ owner: at, at, key, empty: '[]' });
  unknown(r, value, at, key, base);
};

/** An object whose members follow the table; `other` takes those that are not in it. */
export function members(table: Readonly<Record<string, Rule>>, other: Rule = unknown): Members {
  const rules = new Map(Object.entries(table));
  return (r, object, place, base) => {
    // Own members only: JSON.parse makes plain objects, `__proto__` included, and Object.prototype has nothing enumerable.
    for (const key in object) {
      r.members++;
      const value = object[key];
      const rule = rules.get(key);
      if (rule === undefined && !NAME.test(key)) r.add(`extra-name:${pathOf(place, key)}`, 'annotation', 'whole', key, 'name', place, key);
      if (value === undefined || value === null || value === true || value === false) continue;
      if (rule !== undefined) rule(r, value, place, key, base);
      else if (typeof value !== 'number') other(r, value, place, key, base);
    }
  };
}

/** A member that is an object. */
export function object(walk: Members): Rule {
  return (r, value, at, key, base) => {
    if (!isObject(value)) return unknown(r, value, at, key, base);
    const place = r.enter(at, key);
    if (place !== null) walk(r, value, place, base);
  };
}

/** A member that is an array of objects, each with a channel base of its own: `base/segment:index`. */
export function each(segment: string, walk: Members): Rule {
  return (r, value, at, key, base) => {
    if (!Array.isArray(value)) {
      // `choices[0]` works on an object with a member `0` too, but nothing would say which channel it is.
      if (isObject(value)) r.isMalformed = true;
      return unknown(r, value, at, key, base);
    }
    const list = r.enter(at, key);
    if (list === null) return;
    for (let position = 0; position < value.length; position++) {
      const item = value[position] ?? null;
      if (!isObject(item)) {
        unknown(r, item, list, position, base);
        continue;
      }
      const place = r.enter(list, position);
      if (place !== null) walk(r, item, place, child(base, segment, indexOf(r, item['index'], position)));
    }
  };
}

/** A member that is an array of values which one rule reads, or one such value. */
export function listOf(rule: Rule): Rule {
  return (r, value, at, key, base) => {
    if (!Array.isArray(value)) return rule(r, value, at, key, base);
    const list = r.enter(at, key);
    if (list === null) return;
    for (let position = 0; position < value.length; position++) {
      const item = value[position] ?? null;
      if (item !== null && typeof item !== 'boolean') rule(r, item, list, position, base);
    }
  };
}

/** Where an item says it stands, or where it was found. An index that is none makes the event unreadable: its channel could be confused. */
export function indexOf(r: Reading, index: JsonValue | undefined, position: number): number {
  if (index === undefined || index === null) return position;
  if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index <= MAX_INDEX) return index;
  r.isMalformed = true;
  return position;
}

/** `choice:0`, `choice:0/tool:1`, ... The first ones are kept: they are asked for with every token. */
export function child(base: string, segment: string, index: number): string {
  if (index >= KEPT) return join(base, `${segment}:${index}`);
  const family = keptBases.get(base);
  const kept = family?.get(segment);
  if (kept !== undefined) return kept[index] ?? '';
  const names = Array.from({ length: KEPT }, (_, n) => join(base, `${segment}:${n}`));
  if (family !== undefined) family.set(segment, names);
  else if (keptBases.size < MAX_KEPT_BASES) keptBases.set(base, new Map([[segment, names]]));
  return names[index] ?? '';
}
const KEPT = 8;
const MAX_KEPT_BASES = 256;
const keptBases = new Map<string, Map<string, string[]>>();

/** Any JSON value: each of its strings is complete at once and has a channel named by its path below `base/suffix`. */
export function nested(kind: ReplyTextKind, suffix: string, known: Readonly<Record<string, Rule>> = {}): Rule {
  const nest: Nest = { kind, mode: 'whole', authored: false, known: new Map(Object.entries(known)) };
  return (r, value, at, key, base) => walk(r, value, at, key, base, join(base, suffix), nest);
}

/** Arguments of a tool call: a growing string of JSON, or an object the model wrote, names and long numbers included. */
export function authored(kind: ReplyTextKind, suffix: string): Rule {
  const whole: Nest = { kind, mode: 'whole', authored: true, known: NONE };
  const growing = text(kind, suffix);
  return (r, value, at, key, base) => {
    if (typeof value === 'string') growing(r, value, at, key, base);
    else walk(r, value, at, key, base, join(base, suffix), whole);
  };
}

/** What no rule names: each string is a channel of its own, complete at once. */
export const unknown: Rule = (r, value, at, key, base) => {
  if (typeof value !== 'number') walk(r, value, at, key, base, `extra:${pathOf(at, key)}`, UNKNOWN);
};
const UNKNOWN: Nest = { kind: 'annotation', mode: 'whole', authored: false, known: NONE };

/** What no rule names in an object of deltas: a client that knows the member will join its pieces, so it is one growing text. */
export const unknownDelta: Rule = (r, value, at, key, base) =>
  walk(r, value, at, key, base, `${base}/extra:${typeof key === 'string' ? cut(key) : key}`, UNKNOWN_DELTA);
const UNKNOWN_DELTA: Nest = { kind: 'annotation', mode: null, authored: false, known: NONE };

function join(base: string, suffix: string): string {
  if (suffix === '') return base;
  return base === '' ? suffix : `${base}/${suffix}`;
}

function walk(r: Reading, value: JsonValue, at: Place | null, key: string | number, base: string, channel: string, nest: Nest): void {
  if (typeof value === 'string') {
    r.add(channel, nest.kind, nest.mode ?? r.mode, value, 'value', at, key);
  } else if (typeof value === 'number') {
    if (nest.authored) addNumber(r, value, at, key, channel, nest);
  } else if (Array.isArray(value)) {
    const list = r.enter(at, key);
    if (list === null) return;
    for (let position = 0; position < value.length; position++) {
      const item = value[position];
      if (item !== undefined && item !== null && (typeof item !== 'number' || nest.authored)) {
        walk(r, item, list, position, base, `${channel}[${position}]`, nest);
      }
    }
  } else if (isObject(value)) {
    const place = r.enter(at, key);
    if (place === null) return;
    for (const name in value) {
      r.members++;
      const below = `${channel}.${cut(name)}`;
      if (nest.authored || !NAME.test(name)) r.add(`${below}#name`, nest.kind, 'whole', name, 'name', place, name);
      const item = value[name];
      if (item === undefined || item === null) continue;
      const rule = nest.known.get(name);
      if (rule !== undefined) rule(r, item, place, name, base);
      else walk(r, item, place, name, base, below, nest);
    }
  }
}

function addNumber(r: Reading, value: number, at: Place | null, key: string | number, channel: string, nest: Nest): void {
  const plain = String(value);
  if (plain.length < SHORTEST_NUMBER) return;
  // Beyond 2^53 the parsed number has lost digits that another client may keep.
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) r.inexact.push(r.texts.length);
  r.add(channel, nest.kind, nest.mode ?? r.mode, plain, 'value', at, key);
}

/** Names in channels are the upstream's words, so they are kept short; a hostile one could make them megabytes. */
function cut(name: string): string {
  return name.length <= 64 ? name : name.slice(0, 64);
}

/** `choices[0].delta.content`, for channel names of what no rule knows. */
export function pathOf(at: Place | null, key: string | number): string {
  let path = '';
  for (let place: Place | null = { parent: at, key, depth: 0 }; place !== null; place = place.parent) {
    const step = typeof place.key === 'number' ? `[${place.key}]` : `${place.parent === null ? '' : '.'}${cut(place.key)}`;
    path = step + path;
  }
  return path;
}
