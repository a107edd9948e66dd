import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readIfPresent, writeDerived } from './files.ts';
import { emptyRoot, HASH_SIZE, nodeHash, perfectRoot, type SubtreeHash } from './merkle.ts';

/** Hashes, and entries, of a full tile (c2sp.org/tlog-tiles). */
export const TILE_WIDTH = 256;
const TILE_BYTES: number = TILE_WIDTH * HASH_SIZE;

/** `tile/<L>/<N>[.p/<W>]` with N as `x001/x234/067`. */
export function tilePath(level: number, index: number, width: number = TILE_WIDTH): string {
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

export interface Tile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
  readonly bytes: Buffer;
}

/** The right edge of a log's tree: the unfinished tile of every level. */
export class TreeEdge {
  readonly #levels: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a leaf hash (lowercase hex). Tiles that it fills are given to `filled`, lowest first. */
  append(leaf: string, filled: (tile: Tile) => void): void {
    this.#level(0).write(leaf, (this.#size % TILE_WIDTH) * HASH_SIZE, 'hex');
    this.#size++;
    this.#carry(0, this.#size, filled);
  }

  /** Adds the leaves of a full tile at once, where the last one is full; `root` is the hash of its perfect tree. */
  appendTile(bytes: Buffer, root: Uint8Array, filled: (tile: Tile) => void): void {
    const index = this.#size / TILE_WIDTH;
    this.#size += TILE_WIDTH;
    filled({ level: 0, index, width: TILE_WIDTH, bytes });
    this.#level(1).set(root, (index % TILE_WIDTH) * HASH_SIZE);
    this.#carry(1, index + 1, filled);
  }

  /** Hands out the tiles that are full now that `level` has `width` hashes. */
  #carry(from: number, count: number, filled: (tile: Tile) => void): void {
    for (let level = from, width = count; width % TILE_WIDTH === 0; level++) {
      const bytes = Buffer.from(this.#level(level));
      const index = width / TILE_WIDTH - 1;
      filled({ level, index, width: TILE_WIDTH, bytes });
      perfectRoot(bytes, 0, TILE_WIDTH).copy(this.#level(level + 1), (index % TILE_WIDTH) * HASH_SIZE);
      width = index + 1;
    }
  }

  /** Hash (hex) of leaf `index` where it lies in the unfinished tile, else null. */
  recent(index: number): string | null {
    if (index >= this.#size || Math.floor(index / TILE_WIDTH) !== Math.floor(this.#size / TILE_WIDTH)) return null;
    const offset = (index % TILE_WIDTH) * HASH_SIZE;
    return this.#level(0).toString('hex', offset, offset + HASH_SIZE);
  }

  /** The partial tiles of the present size, lowest first; their bytes are copies. */
  partial(): Tile[] {
    const tiles: Tile[] = [];
    let count = this.#size;
    for (let level = 0; count > 0; level++) {
      const width = count % TILE_WIDTH;
      if (width > 0) {
        tiles.push({
          level,
          index: Math.floor(count / TILE_WIDTH),
          width,
          bytes: Buffer.from(this.#level(level).subarray(0, width * HASH_SIZE)),
        });
      }
      count = Math.floor(count / TILE_WIDTH);
    }
    return tiles;
  }

  root(): Buffer {
    return edgeRoot(this.partial());
  }

  /** The edge of a tree of `size`, from its partial tiles. @throws {RangeError} where one is missing */
  static async load(size: number, read: (level: number, index: number, width: number) => Promise<Buffer | null>): Promise<TreeEdge> {
    const edge = new TreeEdge();
    edge.#size = size;
    let count = size;
    for (let level = 0; count > 0; level++) {
      const width = count % TILE_WIDTH;
      const index = Math.floor(count / TILE_WIDTH);
      if (width > 0) {
        const bytes = await read(level, index, width);
        if (bytes === null) throw new RangeError(`${tilePath(level, index, width)} is missing`);
        bytes.copy(edge.#level(level));
      }
      count = index;
    }
    return edge;
  }

  #level(level: number): Buffer {
    const present = this.#levels[level];
    if (present !== undefined) return present;
    const fresh = Buffer.alloc(TILE_BYTES);
    this.#levels[level] = fresh;
    return fresh;
  }
}

/** Root of the tree whose partial tiles, lowest level first, are given. */
export function edgeRoot(tiles: readonly Tile[]): Buffer {
  let root: Buffer | null = null;
  for (const { width, bytes } of tiles) {
    // Perfect subtrees of one tile, smallest (rightmost) first: one for each bit of the width.
    let end = width;
    for (let bit = 1; bit <= width; bit *= 2) {
      if ((width & bit) === 0) continue;
      const subtree = perfectRoot(bytes, (end - bit) * HASH_SIZE, bit);
      root = root === null ? subtree : nodeHash(subtree, root);
      end -= bit;
    }
  }
  return root ?? emptyRoot();
}

export async function writeTile(log: string, tile: Tile): Promise<void> {
  await writeDerived(join(log, tilePath(tile.level, tile.index, tile.width)), tile.bytes);
}

/** Removes the partial predecessors of a full tile. */
export async function removePartials(log: string, { level, index }: Tile): Promise<void> {
  await rm(`${join(log, tilePath(level, index))}.p`, { recursive: true, force: true });
}

/**
 * A tile of at least `width` hashes cut to it, from the partial or the full file; null where there is none of that length.
 * The bytes are as trustworthy as the disk: whoever relies on them compares a root.
 */
export async function readTile(log: string, level: number, index: number, width: number): Promise<Buffer | null> {
  const cut = (bytes: Buffer | null, length: number): Buffer | null =>
    bytes?.length === length ? bytes.subarray(0, width * HASH_SIZE) : null;
  const full = join(log, tilePath(level, index));
  const found = cut(await readIfPresent(full), TILE_BYTES);
  if (found !== null || width === TILE_WIDTH) return found;
  const partial = cut(await readIfPresent(join(log, tilePath(level, index, width))), width * HASH_SIZE);
  // A running log may have replaced the partial tile by the full one between the two reads.
  return partial ?? cut(await readIfPresent(full), TILE_BYTES);
}

/** Subtree hashes of a tree of `size` leaves out of its tiles, which are kept after the first read. */
export function tileSubtrees(log: string, size: number): SubtreeHash {
  const cache = new Map<string, Buffer>();
  return async (height, index) => {
    const level = Math.floor(height / 8);
    const count = 2 ** (height % 8);
    const first = index * count;
    const tile = Math.floor(first / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - tile * TILE_WIDTH);
    const path = tilePath(level, tile, width);
    const bytes = cache.get(path) ?? (await readTile(log, level, tile, width));
    if (bytes === null) throw new RangeError(`${dirname(path)}: tile ${tile} is missing`);
    cache.set(path, bytes);
    return perfectRoot(bytes, (first % TILE_WIDTH) * HASH_SIZE, count);
  };
}
