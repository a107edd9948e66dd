import type { JsonEdit } from './document.ts';
import { formatPath, type JsonPath } from './path.ts';
import { BRACE_CLOSE, BRACE_OPEN, BRACKET_CLOSE, BRACKET_OPEN, COMMA, closingQuote, decodeString, QUOTE, skipSpace } from './text.ts';

/** Paths that are looked for, merged by their common beginnings so that one walk finds them all. */
interface PathTree {
  /** Which path ends here, or -1. */
  path: number;
  readonly children: Map<string | number, PathTree>;
}

/** A place in the text: the value `[start, end)`, or, with `insertion`, the point where a missing member of an object would go. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly insertion: string | null;
}

/**
 * Byte spans `[start, end)` of the values at `paths` in a checked document, null where there is none. Throws `TypeError` (a defect
 * of the caller) where one path leads through another.
 */
export function findSpans(bytes: Buffer, paths: readonly JsonPath[]): (readonly [number, number] | null)[] {
  const text = bytes.toString('utf8');
  const offsets = new ByteOffsets(bytes, text);
  const spans: (readonly [number, number] | null)[] = paths.map(() => null);
  for (const [path, place] of findPlaces(text, paths)) {
    if (place.insertion === null) spans[path] = [offsets.at(place.start), offsets.at(place.end)];
  }
  return spans;
}

/**
 * The document's bytes with values replaced. A path whose last name is missing from an object that is there adds that member after
 * the others. Throws `TypeError` (a defect of the caller) where a path leads nowhere or through another.
 */
export function spliceEdits(bytes: Buffer, edits: readonly JsonEdit[]): Buffer {
  const text = bytes.toString('utf8');
  const places = findPlaces(
    text,
    edits.map((edit) => edit.path),
  );
  const offsets = new ByteOffsets(bytes, text);
  const parts: Buffer[] = [];
  let copied = 0;
  const missing = new Set(edits.keys());
  for (const [index, place] of places) {
    const edit = edits[index];
    if (edit === undefined) continue;
    missing.delete(index);
    const start = offsets.at(place.start);
    parts.push(bytes.subarray(copied, start), Buffer.from((place.insertion ?? '') + JSON.stringify(edit.value)));
    copied = offsets.at(place.end);
  }
  for (const index of missing) throw new TypeError(`no value to edit at ${formatPath(edits[index]?.path ?? [])}`);
  parts.push(bytes.subarray(copied));
  return Buffer.concat(parts);
}

/** Places of the paths in the order of the text, each with the index of its path. */
function findPlaces(text: string, paths: readonly JsonPath[]): [number, Place][] {
  const root: PathTree = { path: -1, children: new Map() };
  for (const [index, path] of paths.entries()) {
    let node = root;
    for (const step of path) {
      if (node.path >= 0) throw new TypeError(`paths overlap at ${formatPath(path)}`);
      let child = node.children.get(step);
      if (child === undefined) {
        child = { path: -1, children: new Map() };
        node.children.set(step, child);
      }
      node = child;
    }
    if (node.path >= 0 || node.children.size > 0) throw new TypeError(`paths overlap at ${formatPath(path)}`);
    node.path = index;
  }
  const search: Search = { text, wanted: paths.length, places: [] };
  if (paths.length > 0) visit(search, skipSpace(text, 0), root);
  return search.places;
}

interface Search {
  readonly text: string;
  readonly wanted: number;
  readonly places: [number, Place][];
}

/**
 * Visits the value at `at` and returns the offset after it, or anything once all is found and the rest need not be read. Recurses
 * along the paths looked for, never along the document.
 */
function visit(search: Search, at: number, node: PathTree): number {
  const { text, places } = search;
  if (node.path >= 0) {
    const end = skipValue(text, at);
    places.push([node.path, { start: at, end, insertion: null }]);
    return end;
  }
  const code = text.charCodeAt(at);
  if (code === BRACE_OPEN) return visitObject(search, at, node);
  if (code === BRACKET_OPEN) return visitArray(search, at, node);
  return skipValue(text, at);
}

function visitObject(search: Search, open: number, node: PathTree): number {
  const { text, places } = search;
  const found = new Set<string | number>();
  let at = skipSpace(text, open + 1);
  let lastEnd = open + 1;
  while (text.charCodeAt(at) === QUOTE) {
    const close = closingQuote(text, at);
    const name = decodeString(text, at, close);
    const start = skipSpace(text, skipSpace(text, close + 1) + 1);
    const child = node.children.get(name);
    if (child === undefined) lastEnd = skipValue(text, start);
    else {
      found.add(name);
      lastEnd = visit(search, start, child);
      if (places.length === search.wanted) return lastEnd;
    }
    at = skipSpace(text, lastEnd);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  let isEmpty = lastEnd === open + 1;
  for (const [name, child] of node.children) {
    if (found.has(name) || child.path < 0 || typeof name === 'number') continue;
    places.push([child.path, { start: lastEnd, end: lastEnd, insertion: `${isEmpty ? '' : ','}${JSON.stringify(name)}:` }]);
    isEmpty = false;
  }
  return at + 1;
}

function visitArray(search: Search, open: number, node: PathTree): number {
  const { text, places } = search;
  let at = skipSpace(text, open + 1);
  for (let index = 0; text.charCodeAt(at) !== BRACKET_CLOSE; index += 1) {
    const child = node.children.get(index);
    const end = child === undefined ? skipValue(text, at) : visit(search, at, child);
    if (places.length === search.wanted) return end;
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return at + 1;
}

/** The offset after the value at `at` of a text that is known to be valid. */
function skipValue(text: string, at: number): number {
  let depth = 0;
  for (; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = closingQuote(text, at);
    else if (code === BRACE_OPEN || code === BRACKET_OPEN) depth += 1;
    else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) depth -= 1;
    else if (depth === 0) return scalarEnd(text, at);
    if (depth === 0) return at + 1;
  }
}

/** The offset after the number or literal at `at`. */
function scalarEnd(text: string, at: number): number {
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === COMMA || code === BRACE_CLOSE || code === BRACKET_CLOSE) return at;
  }
  return at;
}

/** Turns offsets in the decoded text into byte offsets; asked in ascending order, so that the text is measured once. */
class ByteOffsets {
  readonly #text: string;
  readonly #isAscii: boolean;
  #unit = 0;
  #byte = 0;

  constructor(bytes: Buffer, text: string) {
    this.#text = text;
    this.#isAscii = bytes.length === text.length;
  }

  at(unit: number): number {
    if (this.#isAscii) return unit;
    this.#byte += Buffer.byteLength(this.#text.slice(this.#unit, unit));
    this.#unit = unit;
    return this.#byte;
  }
}
