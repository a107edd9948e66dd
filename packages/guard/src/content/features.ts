import { conceptTable, withUnit } from './concepts.ts';

/** Rows of weights: 2^14. */
const ROW_BITS = 14;
export const ROWS: number = 1 << ROW_BITS;

/** Words between two concepts that are taken together. */
const NEAR = 10;
const MIX = 0x85ebca6b | 0;
const WORD_PRIME = 0x9e3779b1 | 0;
const GAP_PRIME = 0x2c1b3c6d;
/** One for each kind of feature. */
const SALTS = { word: 0x5bd1e995, pair: 0x27d4eb2f, gap: 0x51ed270b, concept: 0x165667b1, near: 0x2545f491 } as const;

const APOSTROPHE = 0x27;
const CURLED_APOSTROPHE = 0x2019;

let table: ReadonlyMap<number, number> | null = null;

/** Which rows a passage has already. */
const seen = new Uint32Array(ROWS);
let round = 0;

/** The words of a passage, as hashes, and what they are about. */
export interface Words {
  readonly hashes: readonly number[];
  /** By word; -1 where it is about none. */
  readonly concepts: readonly number[];
  /** The set of all of them. */
  readonly set: number;
}

/** Words are runs of ASCII letters and digits, apostrophes and of units above ASCII, in lower case. */
export function wordsOf(text: string): Words {
  table ??= conceptTable();
  const hashes: number[] = [];
  const concepts: number[] = [];
  let set = 0;
  let hash = 0;
  for (let index = 0; index <= text.length; index++) {
    const unit = letterAt(text, index);
    if (unit > 0) {
      hash = withUnit(hash, unit);
    } else if (hash !== 0) {
      const concept = table.get(hash) ?? -1;
      if (concept >= 0) set |= 1 << concept;
      hashes.push(hash);
      concepts.push(concept);
      hash = 0;
    }
  }
  return { hashes, concepts, set };
}

/** The unit as it is read; 0 where it is no part of a word. */
function letterAt(text: string, index: number): number {
  if (index >= text.length) return 0;
  const unit = text.charCodeAt(index);
  if (unit >= 0x61 && unit <= 0x7a) return unit;
  if (unit >= 0x41 && unit <= 0x5a) return unit + 0x20;
  if ((unit >= 0x30 && unit <= 0x39) || unit === APOSTROPHE) return unit;
  if (unit === CURLED_APOSTROPHE) return APOSTROPHE;
  return unit > 0x7f ? unit : 0;
}

/**
 * The rows of a passage, each once: words, pairs of them, pairs with one between, concepts, and concepts that stand near each other, in their
 * order. Hashed (Weinberger et al., "Feature hashing for large scale multitask learning", 2009).
 */
export function rowsOf({ hashes, concepts }: Words): number[] {
  const rows: number[] = [];
  round++;
  // Beyond this the table could not hold it.
  if (round > 0xffff_ffff) {
    seen.fill(0);
    round = 1;
  }
  const add = (hash: number, salt: number): void => {
    const row = Math.imul(hash ^ salt, MIX) >>> (32 - ROW_BITS);
    if (seen[row] === round) return;
    seen[row] = round;
    rows.push(row);
  };
  const before: number[] = [];
  for (const [index, hash] of hashes.entries()) {
    add(hash, SALTS.word);
    add((Math.imul(hashes[index - 1] ?? 0, WORD_PRIME) + hash) | 0, SALTS.pair);
    add((Math.imul(hashes[index - 2] ?? 0, GAP_PRIME) + hash) | 0, SALTS.gap);
    const concept = concepts[index] ?? -1;
    if (concept < 0) continue;
    add(concept + 1, SALTS.concept);
    for (let back = before.length - 1; back >= 0; back--) {
      const earlier = before[back] ?? 0;
      if (index - earlier > NEAR) break;
      add(((concepts[earlier] ?? 0) + 1) * 97 + concept + 1, SALTS.near);
    }
    before.push(index);
  }
  return rows;
}
