import { rm } from 'node:fs/promises';
import { compressSegment } from './compress.ts';
import { type ExpiredSegment, expiredSegments, removeTraces } from './retention.ts';
import { listSegments } from './segment.ts';

/** The segments that a log has left behind: compressed, and in the end removed. One work at a time, on the same files. */
export class ClosedSegments {
  readonly #log: string;
  #working: Promise<unknown> = Promise.resolve();
  #trouble: unknown = null;

  constructor(log: string) {
    this.#log = log;
  }

  /** Why the last compression failed, or null. It is tried again with the next rotation or opening. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /** Compresses those before `open`, the first entry of the segment that is written, once `ready`. */
  compress(open: number, ready: Promise<void> = Promise.resolve()): void {
    this.#working = Promise.all([this.#working, ready])
      .then(() => this.#compress(open))
      .catch((error: unknown) => {
        this.#trouble = error;
      });
  }

  /**
   * Removes those of which every entry is older than `before`, where `record` has put on record which, under a signed checkpoint: else the
   * record could be anybody's. `checked` are known to be so: only they are removed, where any are given.
   */
  remove<Result>(
    before: number,
    checked: readonly ExpiredSegment[],
    record: (expired: readonly ExpiredSegment[]) => Promise<Result>,
  ): Promise<Result> {
    const done = this.#working.then(async () => {
      const expired = checked.length === 0 ? await expiredSegments(this.#log, before) : await stillThere(this.#log, checked);
      const result = await record(expired);
      for (const { segment } of expired) {
        // A crash may have left both forms; the plain one counts, so it goes last.
        if (!segment.compressed) await rm(`${segment.path}.zst`, { force: true });
        await rm(segment.path);
      }
      await removeTraces(this.#log, before);
      return result;
    });
    this.#working = done.catch(() => undefined);
    return done;
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    await this.#working;
  }

  async #compress(open: number): Promise<void> {
    try {
      for (const segment of await listSegments(this.#log)) if (segment.first < open) await compressSegment(segment);
      this.#trouble = null;
    } catch (error) {
      this.#trouble = error;
    }
  }
}

/** Another process may have compressed or removed some since they were checked. */
async function stillThere(log: string, checked: readonly ExpiredSegment[]): Promise<ExpiredSegment[]> {
  const present = await listSegments(log);
  return checked.flatMap(({ segment: { first }, until }) => {
    const segment = present.find((one) => one.first === first);
    return segment === undefined ? [] : [{ segment, until }];
  });
}
