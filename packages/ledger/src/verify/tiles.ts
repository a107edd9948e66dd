import type { Checkpoint } from '../checkpoint.ts';
import { HASH_SIZE, perfectRoot } from '../merkle.ts';
import { edgeRoot, readTile, TILE_WIDTH, type Tile } from '../tiles.ts';

/**
 * Leaf hashes out of a log's tile files, believed only as far as they hash up to a signed root. With them the verifier knows what
 * each entry was, also where an attacker rewrote the entries and their chain.
 */
export class TrustedTiles {
  readonly #log: string;
  /** Leaves that the signed root covers. */
  readonly size: number;
  readonly #edge: Map<number, Tile>;
  readonly #known = new Map<string, Buffer | null>();

  private constructor(log: string, size: number, edge: readonly Tile[]) {
    this.#log = log;
    this.size = size;
    this.#edge = new Map(edge.map((tile) => [tile.level, tile]));
  }

  /** Null where the unfinished tiles of the checkpoint are missing or do not have its root. */
  static async open(log: string, checkpoint: Checkpoint): Promise<TrustedTiles | null> {
    const edge: Tile[] = [];
    let count = checkpoint.size;
    for (let level = 0; count > 0; level++) {
      const width = count % TILE_WIDTH;
      const index = Math.floor(count / TILE_WIDTH);
      if (width > 0) {
        const bytes = await readTile(log, level, index, width);
        if (bytes === null) return null;
        edge.push({ level, index, width, bytes });
      }
      count = index;
    }
    return edgeRoot(edge).equals(checkpoint.root) ? new TrustedTiles(log, checkpoint.size, edge) : null;
  }

  /** Hash (hex) of the entry `seq` as it was signed; null past the checkpoint, or where the tiles do not tell. */
  async leaf(seq: number): Promise<string | null> {
    if (seq >= this.size) return null;
    const offset = (seq % TILE_WIDTH) * HASH_SIZE;
    const tile = await this.tile(0, Math.floor(seq / TILE_WIDTH));
    return tile === null ? null : tile.toString('hex', offset, offset + HASH_SIZE);
  }

  /** A tile that hashes up to the signed root, or null. */
  async tile(level: number, index: number): Promise<Buffer | null> {
    const edge = this.#edge.get(level);
    if (edge !== undefined && edge.index === index) return edge.bytes;
    const key = `${level}/${index}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const tile = await this.#read(level, index);
    // Tiles are asked for in order; a few of each level are enough.
    if (this.#known.size > 64) this.#known.clear();
    this.#known.set(key, tile);
    return tile;
  }

  async #read(level: number, index: number): Promise<Buffer | null> {
    const bytes = await readTile(this.#log, level, index, TILE_WIDTH);
    if (bytes === null || (index + 1) * TILE_WIDTH ** (level + 1) > this.size) return null;
    const parent = await this.tile(level + 1, Math.floor(index / TILE_WIDTH));
    const at = (index % TILE_WIDTH) * HASH_SIZE;
    return parent?.subarray(at, at + HASH_SIZE).equals(perfectRoot(bytes, 0, TILE_WIDTH)) === true ? bytes : null;
  }
}
