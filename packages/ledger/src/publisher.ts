import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '@sallyport/core';
import type { Checkpoint } from './checkpoint.ts';
import { replaceFile, syncDirectory } from './files.ts';
import type { LedgerSigner } from './keys.ts';
import { edgeRoot, removePartials, TILE_WIDTH, type Tile, type TreeEdge, tilePath, writeTile } from './tiles.ts';

/** A checkpoint to be signed, and the tiles that have to be there first. */
interface Publication {
  readonly checkpoint: Checkpoint;
  readonly full: Tile[];
  readonly partial: readonly Tile[];
  readonly keep: boolean;
  started: boolean;
}

/** Of tiles: as many as a tree of 2^53 entries has. */
const LEVELS = 7;

/** Where a kept checkpoint lies: one for the end of each closed segment. */
export function keptCheckpointPath(log: string, size: number): string {
  return join(log, 'checkpoints', String(size).padStart(16, '0'));
}

/**
 * Grows the Merkle tree over durable entries and publishes it: tiles first, then the signed checkpoint that needs them. Off the path
 * of an append. One publication at a time and in order, so that a smaller tree is never signed after a larger one.
 */
export class Publisher {
  readonly #log: string;
  readonly #origin: string;
  readonly #signer: LedgerSigner;
  readonly #clock: Clock;
  readonly #edge: TreeEdge;
  #filled: Tile[] = [];
  readonly #queue: Publication[] = [];
  #running: Promise<void> | null = null;
  /** Full tiles written since the last kept checkpoint; the next one makes them durable. */
  readonly #unsynced = new Set<string>();
  /** For each level the last tile that may lie on the disk as a partial one. */
  readonly #partials: number[];
  #published: Checkpoint | null;
  #publishedAt: number | null = null;
  #trouble: unknown = null;

  constructor(log: string, origin: string, signer: LedgerSigner, clock: Clock, edge: TreeEdge, published: Checkpoint | null) {
    this.#log = log;
    this.#origin = origin;
    this.#signer = signer;
    this.#clock = clock;
    this.#edge = edge;
    this.#published = published;
    // What an earlier process wrote lies within the tree that this one found.
    this.#partials = Array.from({ length: LEVELS }, (_, level) => Math.floor(edge.size / TILE_WIDTH ** (level + 1)));
  }

  /** Leaves in the tree: durable entries. */
  get size(): number {
    return this.#edge.size;
  }

  get published(): Checkpoint | null {
    return this.#published;
  }

  /** Epoch milliseconds of the last publication of this process. */
  get publishedAt(): number | null {
    return this.#publishedAt;
  }

  /** Why the last publication failed, or null. It stays queued. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /** Adds the hash of a durable entry. */
  add(leaf: string): void {
    this.#edge.append(leaf, this.fill);
  }

  /** Takes a full tile, also one that recovery found to be written again. */
  readonly fill = (tile: Tile): void => {
    this.#filled.push(tile);
  };

  /**
   * Publishes the tree as it is now. `keep` makes its tiles durable and keeps the checkpoint for ever.
   * Never throws: what fails stays queued and is tried again by the next call; see `trouble`.
   */
  seal(keep: boolean): Promise<void> {
    if (this.#edge.size > 0 && (keep || this.#edge.size !== this.#latest())) this.#enqueue(keep);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Size of the newest tree published or to be. */
  #latest(): number {
    return this.#queue.at(-1)?.checkpoint.size ?? this.#published?.size ?? 0;
  }

  #enqueue(keep: boolean): void {
    const partial = this.#edge.partial();
    const full = this.#filled;
    this.#filled = [];
    const checkpoint = { origin: this.#origin, size: this.#edge.size, root: edgeRoot(partial) };
    const last = this.#queue.at(-1);
    if (last !== undefined && !last.started && !last.keep) {
      // Nobody has seen the earlier tree: its checkpoint is not needed, its tiles are.
      this.#queue.pop();
      full.unshift(...last.full);
    }
    this.#queue.push({ checkpoint, full, partial, keep, started: false });
  }

  async #run(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      next.started = true;
      try {
        await this.#publish(next);
        this.#trouble = null;
      } catch (error) {
        this.#trouble = error;
        return;
      }
      this.#queue.shift();
    }
  }

  async #publish({ checkpoint, full, partial, keep }: Publication): Promise<void> {
    for (const tile of full) {
      await writeTile(this.#log, tile);
      // Most tiles of a busy log are never written as partial ones.
      if (tile.index <= (this.#partials[tile.level] ?? -1)) await removePartials(this.#log, tile);
      this.#unsynced.add(this.#path(tile));
    }
    for (const tile of partial) {
      await writeTile(this.#log, tile);
      this.#partials[tile.level] = tile.index;
    }
    if (keep) await this.#sync(partial);
    const now = this.#clock.now();
    const note = this.#signer.sign(checkpoint, Math.floor(now / 1000));
    await replaceFile(join(this.#log, 'checkpoint'), note);
    if (keep) await replaceFile(keptCheckpointPath(this.#log, checkpoint.size), note);
    this.#published = checkpoint;
    this.#publishedAt = now;
  }

  async #sync(partial: readonly Tile[]): Promise<void> {
    const directories = new Set<string>();
    for (const path of [...this.#unsynced, ...partial.map((tile) => this.#path(tile))]) {
      await using handle = await open(path, 'r+');
      await handle.datasync();
      for (let name = dirname(path); name.length >= this.#log.length; name = dirname(name)) directories.add(name);
    }
    for (const directory of directories) await syncDirectory(directory);
    this.#unsynced.clear();
  }

  #path({ level, index, width }: Tile): string {
    return join(this.#log, tilePath(level, index, width));
  }
}
