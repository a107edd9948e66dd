import { hash } from 'node:crypto';

/*
 * RFC 6962 section 2.1: leaf = SHA-256(0x00 ‖ data), node = SHA-256(0x01 ‖ left ‖ right). Hashes lie side by side in one Buffer,
 * 32 bytes each, and results are written in place: a digest returned as a Buffer costs three times one returned as a string.
 */

export const HASH_SIZE = 32;

/** Root of the empty tree, RFC 6962 section 2.1: SHA-256 of nothing. */
export function emptyRoot(): Buffer {
  return hash('sha256', '', 'buffer');
}

/** Leaf hash of an entry's canonical text, lowercase hex. */
export function leafHash(data: string): string {
  return hash('sha256', `\0${data}`, 'hex');
}

const node = Buffer.alloc(1 + 2 * HASH_SIZE);
node[0] = 1;

/** Writes the hash of `left ‖ right`, 64 bytes of `from` at `offset`, into `to` at `at`. The two buffers may be the same. */
function hashPair(from: Buffer, offset: number, to: Buffer, at: number): void {
  from.copy(node, 1, offset, offset + 2 * HASH_SIZE);
  to.write(hash('sha256', node, 'binary'), at, 'latin1');
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const pair = Buffer.concat([left, right], 2 * HASH_SIZE);
  const out = Buffer.allocUnsafe(HASH_SIZE);
  hashPair(pair, 0, out, 0);
  return out;
}

const level = Buffer.alloc(256 * HASH_SIZE);

/** Root of the perfect tree over `count` (a power of two up to 256) hashes at `offset`. */
export function perfectRoot(hashes: Buffer, offset: number, count: number): Buffer {
  hashes.copy(level, 0, offset, offset + count * HASH_SIZE);
  for (let width = count; width > 1; width /= 2) {
    for (let i = 0; i < width; i += 2) hashPair(level, i * HASH_SIZE, level, (i / 2) * HASH_SIZE);
  }
  return Buffer.from(level.subarray(0, HASH_SIZE));
}

/** Hash of the perfect subtree of `2 ** height` leaves that starts at leaf `index * 2 ** height`. */
export type SubtreeHash = (height: number, index: number) => Promise<Buffer>;

/** The perfect subtrees, left to right, that `[start, end)` falls into; `start` is aligned as RFC 6962's split leaves it. */
function perfectSubtrees(start: number, end: number): { height: number; index: number }[] {
  const parts: { height: number; index: number }[] = [];
  for (let at = start; at < end; ) {
    let height = 0;
    while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= end) height++;
    parts.push({ height, index: at / 2 ** height });
    at += 2 ** height;
  }
  return parts;
}

/** MTH(D[start:end]) of RFC 6962 section 2.1, for ranges that its recursive split produces. */
export async function rangeRoot(subtree: SubtreeHash, start: number, end: number): Promise<Buffer> {
  if (start === end) return emptyRoot();
  const hashes: Buffer[] = [];
  for (const { height, index } of perfectSubtrees(start, end)) hashes.push(await subtree(height, index));
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** Largest power of two smaller than `n` (n > 1). */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** PATH(index, D[0:size]), RFC 6962 section 2.1.1, from the leaf's sibling up. */
export async function inclusionProof(subtree: SubtreeHash, index: number, size: number): Promise<Buffer[]> {
  const path: Buffer[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(await rangeRoot(subtree, middle, end));
      end = middle;
    } else {
      path.push(await rangeRoot(subtree, start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/** PROOF(old, D[0:size]), RFC 6962 section 2.1.2; empty where `old` is 0 or `size`. */
export async function consistencyProof(subtree: SubtreeHash, old: number, size: number): Promise<Buffer[]> {
  if (old === 0 || old === size) return [];
  const proof: Buffer[] = [];
  let start = 0;
  let end = size;
  while (end !== old) {
    const middle = start + split(end - start);
    if (old <= middle) {
      proof.push(await rangeRoot(subtree, middle, end));
      end = middle;
    } else {
      proof.push(await rangeRoot(subtree, start, middle));
      start = middle;
    }
  }
  // The old tree's own root is known to the verifier, so it is only sent where it is an inner node (start > 0).
  if (start > 0) proof.push(await rangeRoot(subtree, start, end));
  return proof.reverse();
}

/** RFC 9162 section 2.1.3.2. `proof` comes from a stranger; any length and content is safe. */
export function verifyInclusion(leaf: Uint8Array, index: number, size: number, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r: Uint8Array = leaf;
  for (const p of proof) {
    if (sn === 0 || p.length !== HASH_SIZE) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else r = nodeHash(r, p);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && Buffer.compare(r, root) === 0;
}

function isPowerOfTwo(n: number): boolean {
  while (n % 2 === 0) n /= 2;
  return n === 1;
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** RFC 9162 section 2.1.4.2: whether `newer` is a log that only grew from `older`. `proof` comes from a stranger. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (older.size > newer.size || proof.some((hash) => hash.length !== HASH_SIZE)) return false;
  if (older.size === newer.size) return proof.length === 0 && Buffer.compare(older.root, newer.root) === 0;
  if (older.size === 0) return proof.length === 0 && Buffer.compare(older.root, emptyRoot()) === 0;
  // Where the old tree is a perfect subtree, its root is the proof's missing first element.
  const path = isPowerOfTwo(older.size) ? [older.root, ...proof] : proof;
  const first = path[0];
  if (first === undefined) return false;
  let fn = older.size - 1;
  let sn = newer.size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let fr = first;
  let sr = first;
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else sr = nodeHash(sr, c);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && Buffer.compare(fr, older.root) === 0 && Buffer.compare(sr, newer.root) === 0;
}
