import { createHash } from 'node:crypto';
import { LimitReached, type Limits } from './limits.ts';
import { type FileReport, quote, worseVerdict } from './report.ts';
import { RULES, RULES_VERSION } from './rules.ts';
import { scanFile } from './scan.ts';
import type { ByteSource } from './source.ts';

/** Bytes of a remote file from `offset` on, at most `length`, and how many it has in all. */
export interface RangeAnswer {
  readonly bytes: Buffer;
  readonly total: number;
}

/** Fetches a range, until the signal fires. Throws `RangeRefused` for what a server answers; every other error is a defect. */
export type FetchRange = (offset: number, length: number, signal: AbortSignal) => Promise<RangeAnswer>;

/** Why a remote file cannot be read. The message is for a report: it holds nothing of the answer that is not escaped. */
export class RangeRefused extends Error {
  override readonly name: string = 'RangeRefused';
}

export interface RemoteOptions {
  /** What the report calls the file. */
  readonly path: string;
  /** Bytes that are fetched of one file at most; a file that has no more is fetched whole and digested. */
  readonly maxBytes: number;
  /** Milliseconds that all fetching and scanning of one file may take (default ten minutes). */
  readonly deadline?: number;
  readonly limits?: Partial<Limits>;
}

/** Ten minutes. */
export const REMOTE_DEADLINE = 600_000;
const PAGE = 2 ** 16;
const FIRST = 2 ** 20;
const LARGEST = 2 ** 24;
/** Each time that a byte is missing the scan starts anew; what reads here and there all over a file is given up. */
const ROUNDS = 200;

/**
 * Judges a remote file by the ranges that its format is read from. Where the whole of it was not fetched the verdict is `inconclusive` at
 * best: the headers of a model are no promise about its tensors, and no digest binds the report to the file.
 */
export async function scanRemote(fetch: FetchRange, options: RemoteOptions): Promise<FileReport> {
  const { path, maxBytes, limits = {}, deadline = REMOTE_DEADLINE } = options;
  const within = until(fetch, deadline);
  try {
    const first = await within(0, Math.min(FIRST, maxBytes));
    const file = new Pages(within, first.total, maxBytes);
    file.keep(0, first);
    if (first.total <= maxBytes) await file.fill();
    const report = await file.scan(path, limits);
    if (file.isWhole) return { ...report, sha256: file.digest() };
    const message = `${file.fetched} of ${first.total} bytes were fetched`;
    const finding = { rule: 'source-partial', severity: RULES['source-partial'].severity, message } as const;
    return { ...report, verdict: worseVerdict(report.verdict, 'inconclusive'), findings: [...report.findings, finding] };
  } catch (error) {
    if (!(error instanceof RangeRefused)) throw error;
    const finding = {
      rule: 'source-unreadable',
      severity: RULES['source-unreadable'].severity,
      message: quote(error.message, 200),
    } as const;
    return { path, sha256: '', size: 0, format: 'unreadable', verdict: 'inconclusive', findings: [finding], rules: RULES_VERSION };
  }
}

type Fetch = (offset: number, length: number) => Promise<RangeAnswer>;

/** The same fetch, which fails once `deadline` is over, whatever it is waiting for then. Each single answer may be in time and all of them not. */
function until(fetch: FetchRange, deadline: number): Fetch {
  const signal = AbortSignal.timeout(deadline);
  const late = (): RangeRefused => new RangeRefused(`the file was not read within ${deadline / 1000} s`);
  return async (offset, length) => {
    if (signal.aborted) throw late();
    try {
      return await fetch(offset, length, signal);
    } catch (error) {
      throw signal.aborted ? late() : error;
    }
  };
}

/** Thrown out of a scan that asked for bytes that are not here yet. */
class Missing extends Error {
  readonly offset: number;
  readonly length: number;
  constructor(offset: number, length: number) {
    super('bytes that were not fetched');
    this.offset = offset;
    this.length = length;
  }
}

/** What was fetched of a file, in pages. */
class Pages implements ByteSource {
  readonly size: number;
  readonly #fetch: Fetch;
  readonly #maxBytes: number;
  readonly #pages = new Map<number, Buffer>();
  #ahead: number = FIRST;
  #next: number = 0;
  fetched: number = 0;

  constructor(fetch: Fetch, size: number, maxBytes: number) {
    this.#fetch = fetch;
    this.size = size;
    this.#maxBytes = maxBytes;
  }

  get isWhole(): boolean {
    return this.fetched === this.size;
  }

  keep(offset: number, { bytes, total }: RangeAnswer): void {
    if (total !== this.size) throw new RangeRefused('the file changed its size while it was read');
    for (let at = 0; at < bytes.length; at += PAGE) {
      const page = bytes.subarray(at, at + PAGE);
      // A page is kept whole, or up to the end of the file.
      if (page.length < PAGE && offset + at + page.length < this.size) break;
      const number = (offset + at) / PAGE;
      if (!this.#pages.has(number)) this.fetched += page.length;
      this.#pages.set(number, page);
    }
    this.#next = offset + bytes.length;
  }

  async fill(): Promise<void> {
    while (!this.isWhole) await this.#load(this.#pages.size * PAGE, LARGEST);
  }

  async scan(path: string, limits: Partial<Limits>): Promise<FileReport> {
    for (let round = 0; ; round += 1) {
      try {
        return await scanFile(this, { path, limits, hash: false });
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        if (round >= ROUNDS) throw new RangeRefused(`the format is read in more than ${ROUNDS} places`);
        // Who reads on is given more at a time.
        const start = Math.floor(error.offset / PAGE) * PAGE;
        this.#ahead = start === this.#next ? Math.min(2 * this.#ahead, LARGEST) : PAGE;
        await this.#load(start, Math.max(error.offset + error.length - start, this.#ahead));
      }
    }
  }

  async #load(start: number, length: number): Promise<void> {
    const wanted = Math.min(Math.ceil(length / PAGE) * PAGE, this.size - start, LARGEST);
    const before = this.#pages.size;
    this.keep(start, await this.#fetch(start, wanted));
    if (this.#pages.size === before) throw new RangeRefused('the server sends less than was asked for');
  }

  digest(): string {
    const hash = createHash('sha256');
    for (let page = 0; page * PAGE < this.size; page += 1) hash.update(this.#pages.get(page) ?? Buffer.alloc(0));
    return hash.digest('hex');
  }

  read(offset: number, length: number): Buffer {
    const end = Math.min(offset + Math.max(0, length), this.size);
    if (offset >= end) return Buffer.alloc(0);
    const first = this.#page(offset, end);
    const at = offset % PAGE;
    if (at + end - offset <= first.length) return first.subarray(at, at + end - offset);
    const target = Buffer.alloc(end - offset);
    this.readInto(offset, target);
    return target;
  }

  readInto(offset: number, target: Buffer): number {
    const end = Math.min(offset + target.length, this.size);
    for (let at = offset; at < end; ) {
      const page = this.#page(at, end);
      at += page.copy(target, at - offset, at % PAGE, (at % PAGE) + end - at);
    }
    return Math.max(0, end - offset);
  }

  #page(offset: number, end: number): Buffer {
    const page = this.#pages.get(Math.floor(offset / PAGE));
    if (page !== undefined) return page;
    if (this.fetched + end - offset > this.#maxBytes)
      throw new LimitReached('source-partial', `more than ${this.#maxBytes} bytes would have to be fetched`);
    throw new Missing(offset, end - offset);
  }
}
