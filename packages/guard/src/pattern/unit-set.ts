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

/** Every unit for which `holds` is true. Costs one call a unit: memoise the result. */
function collect(holds: (unit: number) => boolean): UnitSet {
  const out: number[] = [];
  let from = -1;
  for (let unit = 0; unit <= LAST_UNIT + 1; unit++) {
    const inside = unit <= LAST_UNIT && holds(unit);
    if (inside && from < 0) from = unit;
    if (!inside && from >= 0) {
      out.push(from, unit - 1);
      from = -1;
    }
  }
  return out;
}

const propertySets = new Map<string, UnitSet>();

/** The code units with a Unicode property (`L`, `Lu`, `Script=Han`, ...), or null where there is no such property. Basic Multilingual Plane only. */
export function propertySet(property: string): UnitSet | null {
  const known = propertySets.get(property);
  if (known !== undefined) return known;
  if (!/^[A-Za-z_]+(?:=[A-Za-z_]+)?$/.test(property)) return null;
  let test: RegExp;
  try {
    test = new RegExp(`^\\p{${property}}$`, 'u');
  } catch {
    // The engine's own list of properties is the reference: an unknown name is a SyntaxError there.
    return null;
  }
  const set = collect((unit) => (unit < 0xd800 || unit > 0xdfff) && test.test(String.fromCharCode(unit)));
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
  spaces ??= collect((unit) => /\s/.test(String.fromCharCode(unit)));
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
