import { EntriesGone, LogTail, logDirectory, sealedSizes } from '@sallyport/ledger';
import { type ExportEvent, readEvent } from './event.ts';
import type { Positions } from './state.ts';

export interface Batch {
  readonly events: readonly ExportEvent[];
  /** Positions after it. */
  readonly next: Positions;
  /** Ranges that retention removed before they could be read. */
  readonly gone: readonly { readonly log: string; readonly from: number; readonly until: number }[];
}

/** Entries of one log, read ahead. */
interface Lane {
  readonly log: string;
  tail: LogTail;
  readonly ahead: ExportEvent[];
}

const READ_AHEAD = 256;

/**
 * The ledger's own files as the spool of one exporter: entries of all logs, merged by time, each log in its order, from the given
 * positions on. Nothing is written twice, and a destination that is away costs no disk. Entries are read once a signed checkpoint covers
 * them, a second after they were written: only then are they certain to stay.
 */
export class Spool implements AsyncDisposable {
  readonly #directory: string;
  readonly #lanes = new Map<string, Lane>();
  #next: Record<string, number>;
  #sealed: ReadonlyMap<string, number> = new Map();

  constructor(directory: string, next: Positions) {
    this.#directory = directory;
    this.#next = { ...next };
  }

  /** Looks how far the logs have come. */
  async refresh(): Promise<void> {
    this.#sealed = await sealedSizes(this.#directory);
  }

  /** Entries that wait: between the positions and the newest checkpoints. */
  get lag(): number {
    let lag = 0;
    for (const [log, size] of this.#sealed) lag += Math.max(0, size - (this.#next[log] ?? 0));
    return lag;
  }

  /** The next batch: at most `events` entries whose lines have at most `bytes` UTF-16 units together, one entry at least. */
  async take(events: number, bytes: number): Promise<Batch> {
    return this.#take(this.#sealed, events, bytes);
  }

  /** The batch up to given positions: one that was under way before a crash. */
  takeUntil(positions: Positions): Promise<Batch> {
    return this.#take(new Map(Object.entries(positions)), Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  async #take(until: ReadonlyMap<string, number>, events: number, bytes: number): Promise<Batch> {
    const taken: ExportEvent[] = [];
    const gone: Batch['gone'][number][] = [];
    const lanes: Lane[] = [];
    for (const log of until.keys()) lanes.push(await this.#lane(log));
    let size = 0;
    while (taken.length < events) {
      let first: { lane: Lane; event: ExportEvent } | null = null;
      for (const lane of lanes) {
        const event = await this.#head(lane, until.get(lane.log) ?? 0, gone);
        // A line that is no entry has no time, and goes at once.
        if (event !== null && (first === null || timeOf(event) < timeOf(first.event))) first = { lane, event };
      }
      if (first === null || (taken.length > 0 && size + first.event.line.length > bytes)) break;
      first.lane.ahead.shift();
      taken.push(first.event);
      size += first.event.line.length;
      this.#next[first.lane.log] = first.event.seq + 1;
    }
    return { events: taken, next: { ...this.#next }, gone };
  }

  async #head(lane: Lane, until: number, gone: Batch['gone'][number][]): Promise<ExportEvent | null> {
    if (lane.ahead.length === 0) await this.#fill(lane, until, gone);
    const event = lane.ahead[0];
    return event !== undefined && event.seq < until ? event : null;
  }

  async #fill(lane: Lane, until: number, gone: Batch['gone'][number][]): Promise<void> {
    const from = this.#next[lane.log] ?? 0;
    if (from >= until) return;
    try {
      const lines = await lane.tail.read(until, READ_AHEAD);
      for (const [i, line] of lines.entries()) lane.ahead.push(readEvent(lane.log, from + i, line));
    } catch (error) {
      if (!(error instanceof EntriesGone)) throw error;
      gone.push({ log: lane.log, from, until: error.oldest });
      this.#next[lane.log] = error.oldest;
      await lane.tail[Symbol.asyncDispose]();
      lane.tail = new LogTail(logDirectory(this.#directory, lane.log), error.oldest);
    }
  }

  async #lane(log: string): Promise<Lane> {
    const present = this.#lanes.get(log);
    if (present !== undefined) return present;
    const lane = { log, tail: new LogTail(logDirectory(this.#directory, log), this.#next[log] ?? 0), ahead: [] };
    this.#lanes.set(log, lane);
    return lane;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tail } of this.#lanes.values()) await tail[Symbol.asyncDispose]();
    this.#lanes.clear();
  }
}

function timeOf({ entry }: ExportEvent): string {
  return entry?.time ?? '';
}
