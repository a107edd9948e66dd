import {
  BRACE_CLOSE,
  BRACE_OPEN,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  COMMA,
  closingQuote,
  decodeString,
  QUOTE,
  skipSpace,
} from '../json/text.ts';

/** Where a value sits: the chain of member names and element positions from the root; `null` is the root itself. */
export interface Place {
  readonly parent: Place | null;
  readonly key: string | number;
  readonly depth: number;
}

export interface JsonTextEdit {
  /** The object or array that holds the value. */
  readonly at: Place | null;
  readonly key: string | number;
  /** Replaces the value, or the member's name. */
  readonly target: 'value' | 'name';
  /** JSON text for a value; for a name the new name itself, unencoded. */
  readonly replacement: string;
}

interface Branch {
  readonly children: Map<string | number, Branch>;
  value: string | null;
  name: string | null;
}

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/**
 * How many members all objects of a JSON text have together: the colons outside strings. `JSON.parse` keeps the last of two members with
 * one name and other parsers keep the first, so a text that parses to fewer members than this says different things to different clients.
 */
export function countMembers(json: string): number {
  let members = 0;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === COLON) members++;
    else if (code === QUOTE) i = closingQuote(json, i);
  }
  return members;
}

/**
 * The JSON text with the edits applied and every other unit as it was written. The text is one that `JSON.parse` accepted, without
 * duplicate members. A replaced value swallows edits inside it.
 */
export function splice(json: string, edits: readonly JsonTextEdit[]): string {
  let result = '';
  let copied = 0;
  for (const cut of findCuts(json, edits)) {
    result += json.slice(copied, cut.start) + cut.replacement;
    copied = cut.end;
  }
  return result + json.slice(copied);
}

/** Values as they are written, in the order of `places`; for numbers, whose parsed form may not be exact. */
export function literals(json: string, places: readonly { readonly at: Place | null; readonly key: string | number }[]): string[] {
  const found = places.map(() => '');
  const cuts = findCuts(
    json,
    places.map(({ at, key }, index) => ({ at, key, target: 'value', replacement: String(index) })),
  );
  for (const cut of cuts) found[Number(cut.replacement)] = json.slice(cut.start, cut.end);
  return found;
}

function findCuts(json: string, edits: readonly JsonTextEdit[]): Cut[] {
  const root: Branch = { children: new Map(), value: null, name: null };
  for (const edit of edits) {
    let branch = root;
    for (const key of pathTo(edit)) {
      let child = branch.children.get(key);
      if (child === undefined) {
        child = { children: new Map(), value: null, name: null };
        branch.children.set(key, child);
      }
      branch = child;
    }
    if (edit.target === 'name') branch.name = edit.replacement;
    else branch.value = edit.replacement;
  }
  const search: Search = { json, cuts: [], sought: edits.length };
  visit(search, skipSpace(json, 0), root);
  return search.cuts;
}

function pathTo(edit: JsonTextEdit): (string | number)[] {
  const path = [edit.key];
  for (let place = edit.at; place !== null; place = place.parent) path.push(place.key);
  return path.reverse();
}

/** A walk along the edits' paths. It ends with the last edit found: the model's name, which changes in every event, stands near the front. */
interface Search {
  readonly json: string;
  readonly cuts: Cut[];
  readonly sought: number;
}

/** Visits the value at `i` and returns the offset behind it. Recurses along the edits' paths, whose depth the reader has bounded. */
function visit(search: Search, i: number, branch: Branch): number {
  const { json, cuts } = search;
  if (branch.value !== null) {
    const end = skipValue(json, i);
    cuts.push({ start: i, end, replacement: branch.value });
    return end;
  }
  if (branch.children.size === 0) return skipValue(json, i);
  return json.charCodeAt(i) === BRACE_OPEN ? visitMembers(search, i, branch) : visitElements(search, i, branch);
}

function visitMembers(search: Search, open: number, branch: Branch): number {
  const { json, cuts } = search;
  const taken = namesTaken(json, open, branch);
  let i = skipSpace(json, open + 1);
  while (cuts.length < search.sought && json.charCodeAt(i) === QUOTE) {
    const close = closingQuote(json, i);
    const child = branch.children.get(decodeString(json, i, close));
    if (child !== undefined && child.name !== null) {
      cuts.push({ start: i, end: close + 1, replacement: JSON.stringify(uniqueName(child.name, taken)) });
    }
    const start = skipSpace(json, skipSpace(json, close + 1) + 1);
    i = skipSpace(json, child === undefined ? skipValue(json, start) : visit(search, start, child));
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
  return i + 1;
}

function visitElements(search: Search, open: number, branch: Branch): number {
  const { json, cuts } = search;
  let i = skipSpace(json, open + 1);
  for (let position = 0; cuts.length < search.sought && json.charCodeAt(i) !== BRACKET_CLOSE; position++) {
    const child = branch.children.get(position);
    i = skipSpace(json, child === undefined ? skipValue(json, i) : visit(search, i, child));
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
  return i + 1;
}

/** The names of an object that stay, where others are renamed: two names may be redacted to the same word, and the members must not merge. */
function namesTaken(json: string, open: number, branch: Branch): Map<string, number> {
  const taken = new Map<string, number>();
  let hasNames = false;
  for (const child of branch.children.values()) hasNames ||= child.name !== null;
  if (!hasNames) return taken;
  let i = skipSpace(json, open + 1);
  while (json.charCodeAt(i) === QUOTE) {
    const close = closingQuote(json, i);
    const name = decodeString(json, i, close);
    if (branch.children.get(name)?.name == null) taken.set(name, 1);
    i = skipSpace(json, skipValue(json, skipSpace(json, skipSpace(json, close + 1) + 1)));
    if (json.charCodeAt(i) === COMMA) i = skipSpace(json, i + 1);
  }
  return taken;
}

/** `taken` counts how often a name was asked for, so that a thousand equal names do not cost a million look-ups. */
function uniqueName(name: string, taken: Map<string, number>): string {
  let unique = name;
  for (let n = taken.get(name) ?? 0; taken.has(unique); unique = `${name}_${n}`) n++;
  taken.set(name, (taken.get(name) ?? 0) + 1);
  taken.set(unique, taken.get(unique) ?? 1);
  return unique;
}

/** The offset behind the value at `i`; without recursion, so that depth costs nothing. */
function skipValue(json: string, i: number): number {
  let depth = 0;
  for (; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) i = closingQuote(json, i);
    else if (code === BRACE_OPEN || code === BRACKET_OPEN) depth++;
    else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) depth--;
    else if (depth === 0) return scalarEnd(json, i);
    if (depth === 0) return i + 1;
  }
  return i;
}

/** The offset behind the number or literal at `i`. */
function scalarEnd(json: string, i: number): number {
  for (; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code <= 0x20 || code === COMMA || code === BRACE_CLOSE || code === BRACKET_CLOSE) return i;
  }
  return i;
}
