/**
 * Sets of UTF-16 code units as sorted, disjoint, non-adjacent ranges, flattened: `[lo, hi, lo, hi, ...]`, both ends inclusive.
 * The alphabet of the pattern engine is the code unit, as in a JavaScript RegExp without the `u` flag.
 */
export type UnitSet = readonly number[];

export const LAST_UNIT = 0xffff;

export function unitSet(ranges: readonly (readonly [number, number])[]): UnitSet {
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
  return unitSet(sets.flatMap((set) => [...rangesOf(set)]));
}

export function complement(set: UnitSet): UnitSet {
  const out: number[] = [];
  let from = 0;
  for (const [lo, hi] of rangesOf(set)) {
    if (lo > from) out.push(from, lo - 1);
    from = hi + 1;
  }
  if (from <= LAST_UNIT) out.push(from, LAST_UNIT);
  return out;
}

const BLOCK = 128;

/** Every unit in a character class (`\\p{L}`, `\\s`) of the platform's own regular expressions, surrogates left out. Asks for blocks of units first. */
function unitsIn(characterClass: string): UnitSet {
  const one = new RegExp(`^[${characterClass}]$`, 'u');
  const all = new RegExp(`^[${characterClass}]+$`, 'u');
  const none = new RegExp(`^[^${characterClass}]+$`, 'u');
  const ranges: [number, number][] = [];
  for (let first = 0; first <= LAST_UNIT; first += BLOCK) {
    if (first >= 0xd800 && first <= 0xdfff) continue;
    const block = blockFrom(first);
    if (none.test(block)) continue;
    if (all.test(block)) ranges.push([first, first + BLOCK - 1]);
    else for (let unit = first; unit < first + BLOCK; unit++) if (one.test(String.fromCharCode(unit))) ranges.push([unit, unit]);
  }
  return unitSet(ranges);
}

function blockFrom(first: number): string {
  return String.fromCharCode(...Array.from({ length: BLOCK }, (_, index) => first + index));
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

let foldGroups: ReadonlyMap<number, readonly number[]> | null = null;

/** Units that differ only in case, by unit; units without another case are not in the map. */
function caseGroups(): ReadonlyMap<number, readonly number[]> {
  if (foldGroups !== null) return foldGroups;
  const byKey = new Map<number, number[]>();
  for (let unit = 0; unit <= LAST_UNIT; unit++) {
    if (unit % BLOCK === 0) {
      const block = blockFrom(unit);
      if (block.toUpperCase() === block && block.toLowerCase() === block) {
        unit += BLOCK - 1;
        continue;
      }
    }
    const text = String.fromCharCode(unit);
    const upper = text.toUpperCase();
    const lower = (upper.length === 1 ? upper : text).toLowerCase();
    const key = lower.length === 1 ? lower.charCodeAt(0) : unit;
    const group = byKey.get(key);
    if (group === undefined) byKey.set(key, [unit]);
    else group.push(unit);
  }
  const groups = new Map<number, readonly number[]>();
  for (const group of byKey.values()) if (group.length > 1) for (const unit of group) groups.set(unit, group);
  foldGroups = groups;
  return groups;
}

/** Adds the other cases of every unit (simple, one unit to one unit; `ß` is not `ss`). */
export function foldCase(set: UnitSet): UnitSet {
  const groups = caseGroups();
  const extra: [number, number][] = [];
  for (const [lo, hi] of rangesOf(set)) {
    for (let unit = lo; unit <= hi; unit++) {
      for (const other of groups.get(unit) ?? []) if (other < lo || other > hi) extra.push([other, other]);
    }
  }
  return extra.length === 0 ? set : union(set, unitSet(extra));
}
