import { GENESIS } from '../entry.ts';
import { type EntryLine, parseLine } from '../line.ts';
import { HASH_SIZE, leafHash } from '../merkle.ts';
import { RETENTION, retainedBy } from '../retention-entry.ts';
import { TILE_WIDTH, type Tile, type TreeEdge } from '../tiles.ts';
import { MissingRanges } from './missing.ts';
import type { Problems } from './report.ts';
import { isLedgersOwn, type SoundStretch } from './stretch.ts';
import type { TrustedTiles } from './tiles.ts';

/** A line, with what is known of it. */
interface Found {
  readonly entry: EntryLine | null;
  /** Whether the line is an entry and has the hash that it states. */
  readonly sound: boolean;
  readonly text: string;
  readonly file: string;
  readonly line: number;
  /** Number of the line in the whole log. */
  readonly order: number;
}

type Sound = Found & { readonly entry: EntryLine };

/** So many lines that follow one another end a stretch in doubt. */
const RESUMED = 64;
/** A stretch in doubt is judged at this length at the latest. */
const MAX_DOUBT = 100_000;

export interface WalkObserver {
  /** A tile of the rebuilt tree is full. */
  filled(tile: Tile): void;
  /** The rebuilt tree has `size` leaves. */
  grown(size: number): void;
}

/**
 * Walks the lines of a log in order and rebuilds its tree. A line that does not follow starts a stretch in doubt, which is collected
 * until the chain holds again and then judged as a whole: against the signed tiles where they tell, against the links otherwise.
 * Every line may be an attacker's.
 */
export class Walk {
  readonly edge: TreeEdge;
  /** False once an entry's hash is unknown: from there on no root can be computed. */
  rooted = true;
  from: string | null = null;
  to: string | null = null;
  /** Entries before this number were removed by the ledger itself, which says so. */
  retained = 0;
  #lines = 0;
  readonly #problems: Problems;
  readonly #tiles: TrustedTiles | null;
  /** Entries that a signed checkpoint covers: of the others anybody can have written one. */
  readonly #sealed: number;
  readonly #observer: WalkObserver;
  readonly #filled: (tile: Tile) => void;
  /** The same where the tile of the entries themselves is known to be stored. */
  readonly #filledAbove: (tile: Tile) => void;
  /** `seq` that has to come next, and the hash that it has to follow (null: not known). */
  #next: number;
  #hash: string | null;
  /** The last line that followed. It counts once the line after it confirms it: of two lines with one number, the later tells the true one. */
  #held: Sound | null = null;
  #doubt: Found[] = [];
  /** Lines at the end of the stretch in doubt that follow one another. */
  #run = 0;
  readonly #missing = new MissingRanges();
  /** Sound lines too early in the log, by number: moved here, copied, or forged. */
  readonly #strays = new Map<number, Sound>();

  constructor(start: number, edge: TreeEdge, tiles: TrustedTiles | null, sealed: number, problems: Problems, observer: WalkObserver) {
    this.edge = edge;
    this.#problems = problems;
    this.#tiles = tiles;
    this.#sealed = sealed;
    this.#observer = observer;
    this.#filled = (tile) => observer.filled(tile);
    this.#filledAbove = (tile) => {
      if (tile.level > 0) observer.filled(tile);
    };
    this.#next = start;
    this.#hash = start === 0 ? GENESIS : null;
  }

  /** Entries accounted for, from 0: the `seq` expected next. */
  get next(): number {
    return this.#next;
  }

  get lines(): number {
    return this.#lines;
  }

  /** Takes a line. Answers a promise where a stretch in doubt has to be judged first. */
  take(text: string, file: string, line: number): Promise<void> | null {
    this.#lines++;
    const entry = parseLine(text);
    const sound = entry !== null && leafHash(entry.leaf) === entry.hash;
    const found: Found = { entry, sound, text, file, line, order: this.#lines };
    if (this.#doubt.length === 0) {
      if (this.#held === null) {
        if (isSound(found) && found.entry.seq === this.#next && (this.#hash === null || found.entry.prev === this.#hash)) {
          this.#held = found;
          return null;
        }
      } else if (isSound(found) && follows(found, this.#held)) {
        this.#accept(this.#held.entry.hash, this.#held);
        this.#held = found;
        return null;
      } else {
        this.#doubt.push(this.#held);
        this.#held = null;
      }
    }
    const previous = this.#doubt.at(-1);
    this.#run = previous !== undefined && follows(found, previous) ? this.#run + 1 : 0;
    this.#doubt.push(found);
    if (this.#run < RESUMED && this.#doubt.length < MAX_DOUBT) return null;
    return this.#judge(this.#run < RESUMED ? null : found);
  }

  /** Takes a stretch that is sound by itself, where it follows what came before. False where it does not: then its lines are to be taken. */
  skip({ first, count, prev, hash, from, to, retained, leaves, roots, stored }: SoundStretch): boolean {
    const held = this.#held;
    const [seq, follows, time] = held === null ? [this.#next, this.#hash, this.to] : [held.entry.seq + 1, held.entry.hash, held.entry.time];
    if (this.#doubt.length > 0 || this.#strays.size > 0 || !this.rooted || first !== seq) return false;
    if ((follows !== null && prev !== follows) || (time !== null && from < time)) return false;
    // Which of its entries says so is not known; line by line it is.
    if (retained > 0 && first + count > this.#sealed) return false;
    if (held !== null) this.#accept(held.entry.hash, held);
    this.#held = null;
    this.#lines += count;
    this.#next = first + count;
    this.#hash = hash;
    this.from ??= from;
    this.to = to;
    this.retained = Math.max(this.retained, retained);
    for (let tile = 0; tile * TILE_WIDTH < count; tile++) {
      const at = tile * TILE_WIDTH * HASH_SIZE;
      this.edge.appendTile(
        Buffer.from(leaves.buffer, leaves.byteOffset + at, TILE_WIDTH * HASH_SIZE),
        roots.subarray(tile * HASH_SIZE, (tile + 1) * HASH_SIZE),
        stored[tile] === 1 ? this.#filledAbove : this.#filled,
      );
    }
    this.#observer.grown(this.#next);
    return true;
  }

  /** Judges what is still in doubt, and names what never turned up. */
  async end(): Promise<void> {
    if (this.#held !== null) this.#accept(this.#held.entry.hash, this.#held);
    this.#held = null;
    if (this.#doubt.length > 0) await this.#judge(null);
    for (const [seq, { file, line }] of this.#strays) {
      if (this.#missing.take(seq)) this.#problems.add('reordered', `entry ${seq} is not in its place`, { seq, file, line });
      else this.#problems.add('inserted', `an entry that claims to be ${seq} was inserted`, { seq, file, line });
    }
    for (const { from, until, file, line } of this.#missing.list) {
      const what = until - from === 1 ? `entry ${from} was removed` : `entries ${from} to ${until - 1} were removed`;
      this.#problems.add('missing', what, { seq: from, until, file, line });
    }
  }

  #accept(hash: string | null, found: Found | null): void {
    const seq = this.#next;
    if (found?.entry != null) {
      this.#checkTime(seq, found.entry.time, found);
      if (seq < this.#sealed && found.text.startsWith(RETENTION)) this.retained = Math.max(this.retained, retainedBy(found.text));
    }
    this.#next = seq + 1;
    this.#hash = hash;
    if (this.#strays.size > 0) this.#matchStray(seq, hash);
    if (hash === null) this.rooted = false;
    if (!this.rooted || hash === null) return;
    this.edge.append(hash, this.#filled);
    this.#observer.grown(seq + 1);
  }

  #checkTime(seq: number, time: string, { text, file, line }: Found): void {
    if (this.to !== null && time < this.to && !isLedgersOwn(text)) {
      this.#problems.add('clock', `entry ${seq} is dated ${time}, its predecessor ${this.to}, and no change of the clock is recorded`, {
        seq,
        file,
        line,
      });
    }
    this.from ??= time;
    this.to = time;
  }

  #matchStray(seq: number, hash: string | null): void {
    const stray = this.#strays.get(seq);
    if (stray === undefined || stray.entry.hash !== hash || this.#missing.has(seq)) return;
    this.#strays.delete(seq);
    this.#problems.add('duplicated', `entry ${seq} stands in the log twice`, { seq, file: stray.file, line: stray.line });
  }

  /** `resumed` is the last line where the chain holds again, null where the stretch simply ends. */
  async #judge(resumed: Found | null): Promise<void> {
    const doubt = this.#doubt;
    this.#doubt = [];
    this.#run = 0;
    const bySeq = new Map<number, Sound[]>();
    const broken: Found[] = [];
    for (const found of doubt) {
      if (isSound(found)) bySeq.set(found.entry.seq, [...(bySeq.get(found.entry.seq) ?? []), found]);
      else broken.push(found);
    }
    const end = resumed?.entry == null ? this.#endOf(doubt) : resumed.entry.seq + 1;
    const used = await this.#fill(end, doubt, bySeq, broken);
    for (const found of doubt) if (!used.has(found)) await this.#surplus(found);
  }

  /** Goes through the entries that the stretch should hold, in order, and finds for each the line that stands for it. */
  async #fill(end: number, doubt: readonly Found[], bySeq: ReadonlyMap<number, Sound[]>, broken: Found[]): Promise<Set<Found>> {
    const used = new Set<Found>();
    let latest: Found | null = null;
    while (this.#next < end) {
      const seq = this.#next;
      const successors = bySeq.get(seq + 1) ?? [];
      const signed = (await this.#tiles?.leaf(seq)) ?? null;
      const chosen = choose(bySeq.get(seq) ?? [], this.#hash, signed, successors);
      const stand: Found | null = chosen ?? takeBroken(broken, seq, latest, successors[0]);
      // What the entry was: as signed, else as its successor says, else as it stands.
      const linked = chosen !== null && (successors.length === 0 || successors.some((successor) => follows(successor, chosen)));
      const truth = signed ?? (linked ? chosen.entry.hash : (successors[0]?.entry.prev ?? null));
      if (stand === null) {
        const { file, line } = latest ?? doubt[0] ?? { file: '', line: 0 };
        this.#missing.add(seq, file, line);
      } else {
        used.add(stand);
        const { file, line } = stand;
        if (chosen === null) {
          this.#problems.add('altered', `entry ${seq} was altered: it does not have the hash that it states`, { seq, file, line });
        } else if (truth !== chosen.entry.hash) {
          this.#problems.add(
            'altered',
            `entry ${seq} was replaced: ${signed === null ? 'the next entry follows' : 'the signed tree holds'} another`,
            {
              seq,
              file,
              line,
            },
          );
        }
        if (latest !== null && stand.order < latest.order)
          this.#problems.add('reordered', `entry ${seq} is not in its place`, { seq, file, line });
        else latest = stand;
      }
      this.#accept(truth, stand);
    }
    return used;
  }

  /** The `seq` after the last entry that a stretch without a resumed chain has to account for. */
  #endOf(doubt: readonly Found[]): number {
    let end = this.#next;
    const reach = Math.max(end + doubt.length + MAX_DOUBT, this.#tiles?.size ?? 0);
    for (const { entry, sound } of doubt) if (sound && entry !== null && entry.seq < reach) end = Math.max(end, entry.seq + 1);
    // Broken lines at the very end stand for entries too, one each.
    for (const { entry, sound } of doubt.slice(doubt.findLastIndex((found) => found.sound) + 1)) if (!sound && entry?.seq === end) end++;
    return end;
  }

  /** A line that stands for no entry of its place: a copy, a stray, or a forgery. */
  async #surplus(found: Found): Promise<void> {
    const { file, line } = found;
    if (!isSound(found)) {
      this.#problems.add('inserted', 'a line that is no entry of this log was inserted', { file, line });
      return;
    }
    const { seq, hash } = found.entry;
    if (seq >= this.#next) this.#strays.set(seq, found);
    else if (this.#missing.take(seq)) this.#problems.add('reordered', `entry ${seq} is not in its place`, { seq, file, line });
    else if (((await this.#tiles?.leaf(seq)) ?? this.edge.recent(seq)) === hash) {
      this.#problems.add('duplicated', `entry ${seq} stands in the log twice`, { seq, file, line });
    } else this.#problems.add('inserted', `an entry that claims to be ${seq} was inserted`, { seq, file, line });
  }
}

function isSound(found: Found): found is Sound {
  return found.sound && found.entry !== null;
}

function follows(found: Found, previous: Found): boolean {
  return isSound(found) && isSound(previous) && found.entry.seq === previous.entry.seq + 1 && found.entry.prev === previous.entry.hash;
}

/** Of several sound lines with one number: the signed one, else one that is linked on both sides, or after, or before. */
function choose(candidates: readonly Sound[], prev: string | null, signed: string | null, successors: readonly Sound[]): Sound | null {
  const rate = (candidate: Sound): number =>
    (candidate.entry.hash === signed ? 4 : 0) +
    (successors.some((successor) => follows(successor, candidate)) ? 2 : 0) +
    (prev === null || candidate.entry.prev === prev ? 1 : 0);
  return candidates.reduce<Sound | null>((best, next) => (best === null || rate(next) > rate(best) ? next : best), null);
}

/** The broken line that stands for entry `seq`: one that says so, else one that lies where the entry should. */
function takeBroken(broken: Found[], seq: number, previous: Found | null, following: Found | undefined): Found | null {
  let at = broken.findIndex(({ entry }) => entry?.seq === seq);
  if (at < 0) {
    const low = previous?.order ?? 0;
    const high = following?.order ?? Number.POSITIVE_INFINITY;
    at = broken.findIndex(({ order }) => order > low && order < high);
  }
  return at < 0 ? null : (broken.splice(at, 1)[0] ?? null);
}
