/**
 * Sets of UTF-16 code units as sorted, disjoint, non-adjacent ranges, flattened: `[lo, hi, lo, hi, ...]`, both ends inclusive.
 * The alphabet of the pattern engine is the code unit, as in a JavaScript RegExp without the `u` flag.
 */
export type UnitSet = readonly number[];

export const LAST_UNIT = 0xffff;

export function unitSet(ranges: readonly (readonly [number, number])[]): UnitSet {
  // Most sets are one letter: a start compiles thousands of them.
  const only = ranges.length === 1 ? ranges[0] : undefined;
  if (only !== undefined) return only;
  const sorted = ranges.toSorted((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [lo, hi] of sorted) {
    const last = out.length - 1;
    const previous = out[last];
    if (previous !== undefined && lo <= previous + 1) out[last] = Math.max(previous, hi);
    else out.push(lo, hi);
  }
  return out;
}

export function* rangesOf(set: UnitSet): Generator<[number, number]> {
  for (let i = 0; i < set.length; i += 2) yield [set[i] ?? 0, set[i + 1] ?? 0];
}

export function union(...sets: readonly UnitSet[]): UnitSet {
  if (sets.length === 1 && sets[0] !== undefined) return sets[0];
  return unitSet(sets.flatMap((set) => [...rangesOf(set)]));
}

const complements = new WeakMap<UnitSet, UnitSet>();

/** Every other unit; the same array for the same set, so that its cases are folded once. */
export function complement(set: UnitSet): UnitSet {
  let known = complements.get(set);
  if (known === undefined) {
    known = othersThan(set);
    complements.set(set, known);
  }
  return known;
}

function othersThan(set: UnitSet): UnitSet {
  const out: number[] = [];
  let from = 0;
  for (const [lo, hi] of rangesOf(set)) {
    if (lo > from) out.push(from, lo - 1);
    from = hi + 1;
  }
  if (from <= LAST_UNIT) out.push(from, LAST_UNIT);
  return out;
}

/** Units asked about at once: most blocks are alike throughout, and one question instead of a hundred keeps the start fast. */
const BLOCK = 128;
const EVERY_UNIT: string = Buffer.from(Uint16Array.from({ length: LAST_UNIT + 1 }, (_, unit) => unit).buffer).toString('utf16le');

function blockFrom(first: number): string {
  return EVERY_UNIT.slice(first, first + BLOCK);
}

/** Calls `visit` for each block of units but those of surrogates. */
export function forEachBlock(visit: (first: number, block: string) => void): void {
  for (let first = 0; first <= LAST_UNIT; first += BLOCK) if (first < 0xd800 || first > 0xdfff) visit(first, blockFrom(first));
}

/** Every unit in a character class (`\\p{L}`, `\\s`) of the platform's own regular expressions, surrogates left out. */
export function unitsIn(characterClass: string): UnitSet {
  const one = new RegExp(`^[${characterClass}]$`, 'u');
  const all = new RegExp(`^[${characterClass}]+$`, 'u');
  const none = new RegExp(`^[^${characterClass}]+$`, 'u');
  const ranges: [number, number][] = [];
  forEachBlock((first, block) => {
    if (none.test(block)) return;
    if (all.test(block)) ranges.push([first, first + BLOCK - 1]);
    else for (let unit = first; unit < first + BLOCK; unit++) if (one.test(String.fromCharCode(unit))) ranges.push([unit, unit]);
  });
  return unitSet(ranges);
}

const propertySets = new Map<string, UnitSet>();

/** The code units with a Unicode property (`L`, `Lu`, `Script=Han`, ...), or null where there is no such property. Basic Multilingual Plane only. */
export function propertySet(property: string): UnitSet | null {
  const known = propertySets.get(property);
  if (known !== undefined) return known;
  if (!/^[A-Za-z_]+(?:=[A-Za-z_]+)?$/.test(property)) return null;
  let set: UnitSet;
  try {
    set = unitsIn(`\\p{${property}}`);
  } catch {
    // The platform's own list of properties is the reference: an unknown name is a SyntaxError there.
    return null;
  }
  propertySets.set(property, set);
  return set;
}

export const DIGITS: UnitSet = unitSet([[0x30, 0x39]]);

/** Everything but the line terminators of ECMAScript: LF, CR, LS, PS. */
export const NOT_LINE_END: UnitSet = complement(
  unitSet([
    [0x0a, 0x0a],
    [0x0d, 0x0d],
    [0x2028, 0x2029],
  ]),
);

let spaces: UnitSet | null = null;

/** ECMAScript `\s`. */
export function spaceSet(): UnitSet {
  spaces ??= unitsIn('\\s');
  return spaces;
}

let words: UnitSet | null = null;

/** Letters, marks, decimal digits and `_` of the Basic Multilingual Plane: words of every script, where ECMAScript's `\w` knows only ASCII. */
export function wordSet(): UnitSet {
  words ??= union(propertySet('L') ?? [], propertySet('M') ?? [], propertySet('Nd') ?? [], unitSet([[0x5f, 0x5f]]));
  return words;
}

interface CaseTable {
  /** Units that differ only in case, by unit. */
  readonly groups: ReadonlyMap<number, readonly number[]>;
  /** The units that have another case, in order. */
  readonly cased: readonly number[];
}

let cases: CaseTable | null = null;

function caseTable(): CaseTable {
  if (cases !== null) return cases;
  const byKey = new Map<number, number[]>();
  forEachBlock((first, block) => {
    if (block.toUpperCase() === block && block.toLowerCase() === block) return;
    for (let unit = first; unit < first + BLOCK; unit++) {
      const text = String.fromCharCode(unit);
      const upper = text.toUpperCase();
      const lower = (upper.length === 1 ? upper : text).toLowerCase();
      const key = lower.length === 1 ? lower.charCodeAt(0) : unit;
      const group = byKey.get(key);
      if (group === undefined) byKey.set(key, [unit]);
      else group.push(unit);
    }
  });
  const groups = new Map<number, readonly number[]>();
  for (const group of byKey.values()) if (group.length > 1) for (const unit of group) groups.set(unit, group);
  cases = { groups, cased: [...groups.keys()].sort((a, b) => a - b) };
  return cases;
}

const oneUnit = { exact: new Map<number, UnitSet>(), anyCase: new Map<number, UnitSet>() };

/** The set of one unit, and of its other cases with `ignoreCase`; the same array each time. */
export function setOf(unit: number, ignoreCase: boolean): UnitSet {
  const known = ignoreCase ? oneUnit.anyCase : oneUnit.exact;
  let set = known.get(unit);
  if (set === undefined) {
    set = ignoreCase ? foldCase([unit, unit]) : [unit, unit];
    known.set(unit, set);
  }
  return set;
}

/** Sets folded before: `\w` and its like are large and named often. */
const folded = new WeakMap<UnitSet, UnitSet>();

/** Adds the other cases of every unit (simple, one unit to one unit; `ß` is not `ss`). */
export function foldCase(set: UnitSet): UnitSet {
  let known = folded.get(set);
  if (known === undefined) {
    const extra = otherCases(set);
    known = extra.length === 0 ? set : union(set, unitSet(extra));
    folded.set(set, known);
  }
  return known;
}

function otherCases(set: UnitSet): [number, number][] {
  const { groups, cased } = caseTable();
  const extra: [number, number][] = [];
  let at = firstFrom(cased, set[0] ?? 0);
  for (let index = 0; index < set.length; index += 2) {
    const lo = set[index] ?? 0;
    const hi = set[index + 1] ?? 0;
    for (; at < cased.length && (cased[at] ?? 0) <= hi; at++) {
      const unit = cased[at] ?? 0;
      if (unit < lo) continue;
      for (const other of groups.get(unit) ?? []) if (other < lo || other > hi) extra.push([other, other]);
    }
  }
  return extra;
}

/** Index of the first of sorted numbers that is at least `value`. */
function firstFrom(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
