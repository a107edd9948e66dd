import { Worker } from 'node:worker_threads';
import type { Segment } from '../segment.ts';
import type { SoundStretch } from './stretch.ts';

interface Job {
  readonly segment: Segment;
  readonly done: (stretch: SoundStretch | null) => void;
}

/** Segments that are scanned, or lie scanned in memory, ahead of the walk: for each thread. */
const AHEAD = 2;

/**
 * Scans the segments of a log in threads, ahead of the walk that puts them together. Each thread does for its segment what the walk would
 * do line by line; nearly all of the time that verification takes goes there.
 */
export class Scans implements AsyncDisposable {
  readonly #segments: readonly Segment[];
  readonly #scans = new Map<number, Promise<SoundStretch | null>>();
  readonly #threads: number;
  readonly #workers = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #jobs: Job[] = [];
  #started = 0;

  /** `segments` are closed ones; `threads` may be 0. */
  constructor(segments: readonly Segment[], threads: number) {
    this.#segments = segments;
    this.#threads = Math.min(threads, segments.length);
    for (let i = 0; i < this.#threads; i++) this.#start();
    this.#advance(0);
  }

  /** The scan of segment `index`; asked for in order. Null where it has to be walked line by line. */
  async of(index: number): Promise<SoundStretch | null> {
    const scan = this.#scans.get(index);
    this.#scans.delete(index);
    const stretch = scan === undefined ? null : await scan;
    this.#advance(index + 1);
    return stretch;
  }

  #advance(index: number): void {
    if (this.#threads === 0) return;
    for (; this.#started < Math.min(this.#segments.length, index + AHEAD * this.#threads); this.#started++) {
      const segment = this.#segments[this.#started];
      if (segment === undefined) break;
      this.#scans.set(this.#started, new Promise((done) => this.#jobs.push({ segment, done })));
    }
    this.#dispatch();
  }

  #dispatch(): void {
    // Without a thread left, the walk does it all.
    if (this.#workers.size === 0) for (const { done } of this.#jobs.splice(0)) done(null);
    while (this.#jobs.length > 0 && this.#idle.length > 0) {
      const worker = this.#idle.pop();
      const job = this.#jobs.shift();
      if (worker !== undefined && job !== undefined) this.#run(worker, job);
    }
  }

  #run(worker: Worker, { segment, done }: Job): void {
    const ended = (): void => done(null);
    worker.once('exit', ended);
    worker.once('message', (stretch: SoundStretch | null) => {
      worker.off('exit', ended);
      done(stretch);
      this.#idle.push(worker);
      this.#dispatch();
    });
    worker.postMessage(segment);
  }

  #start(): void {
    const worker = new Worker(new URL(WORKER, import.meta.url));
    this.#workers.add(worker);
    this.#idle.push(worker);
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      this.#workers.delete(worker);
      if (this.#idle.includes(worker)) this.#idle.splice(this.#idle.indexOf(worker), 1);
      this.#dispatch();
    });
    worker.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#jobs.length = 0;
    await Promise.all([...this.#workers].map((worker) => worker.terminate()));
  }
}

/** Beside this file: as a source, or as built (tools/bundle.mjs). */
const WORKER: string = import.meta.url.endsWith('.ts') ? './scan-worker.ts' : './scan-worker.mjs';
