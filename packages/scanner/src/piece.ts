import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ADVISORIES, type AdvisoryId } from './advisories.ts';
import { formatOf, scanBehindUserBlock } from './format/identify.ts';
import { COST, LimitReached, type Limits } from './limits.ts';
import { type FileVerdict, type ScanFinding, worseVerdict } from './report.ts';
import { RULES, type Rule, type RuleId } from './rules.ts';
import { type ByteSource, sliceSource } from './source.ts';

/** V8's collector, which a flag makes callable; a context made after the flag was set has it. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

/** Times the floor of the ratio that all parts of a file may come to. */
const LAYERS = 4;

/** The state of one file's scan: what was found, and what is left of the limits. */
export class Scan {
  readonly limits: Limits;
  /** Where the file lies, if it has a place: a model may name files beside it. */
  readonly directory: string | null;
  readonly findings: ScanFinding[] = [];
  verdict: FileVerdict = 'clean';
  readonly #deadline: number;
  /** In use when it was first asked for: asking costs as much as scanning a small file. */
  #heap: number | null = null;
  readonly #seen = new Set<string>();
  #expanded: number = 0;
  #swollen: number = 0;
  #spent: number = 0;
  /** Bytes of the file, to which what comes out of it is compared. */
  readonly #size: number;

  constructor(limits: Limits, size: number, directory: string | null = null) {
    this.limits = limits;
    this.directory = directory;
    this.#size = Math.max(1, size);
    this.#deadline = performance.now() + limits.time;
  }

  /** Adds a finding once. Beyond the limit on findings only the verdict still counts. */
  report(rule: RuleId, message: string, offset: number | null, advisory?: AdvisoryId): void {
    this.#spent += COST.finding;
    const { severity, verdict, cve, loader }: Rule = RULES[rule];
    this.verdict = worseVerdict(this.verdict, verdict);
    const key = `${rule}\0${message}`;
    if (this.#seen.has(key) || this.findings.length >= this.limits.findings) return;
    this.#seen.add(key);
    const advisories = advisory === undefined ? cve?.split(' ') : [advisory];
    const safe = advisory === undefined ? loader : ADVISORIES[advisory];
    this.findings.push({
      rule,
      severity,
      message,
      ...(offset === null ? {} : { offset }),
      ...(advisories === undefined ? {} : { cve: advisories }),
      ...(safe === undefined || safe === null ? {} : { loader: safe }),
    });
  }

  /** Call in every loop that a file's content can prolong. Throws `LimitReached`. */
  checkTime(): void {
    this.spend(0);
    if (performance.now() > this.#deadline) throw new LimitReached('limit-time', 'the time allowed for one file ran out');
  }

  /** Accounts for steps (`COST`). Throws `LimitReached`. */
  spend(units: number): void {
    this.#spent += units;
    if (this.#spent > this.limits.work) throw new LimitReached('limit-work', 'takes more steps than are taken for one file');
  }

  /** Call where a file's content decides how much is held at once. Throws `LimitReached`; other work in the process counts too. */
  checkMemory(): void {
    if (this.#taken() <= this.limits.heap) return;
    // What nobody holds any more counts until it is collected.
    collectGarbage();
    if (this.#taken() > this.limits.heap) throw new LimitReached('limit-values', 'takes more memory than is allowed for one file');
  }

  #taken(): number {
    const used = process.memoryUsage().heapUsed;
    this.#heap ??= used;
    return used - this.#heap;
  }

  /** Accounts for decompressed bytes. Throws `LimitReached`. */
  expand(bytes: number): void {
    this.#expanded += bytes;
    if (this.#expanded > this.limits.expanded) throw new LimitReached('limit-expanded', 'decompresses to more than is looked at');
    const { ratio, ratioFloor } = this.limits;
    // Layer upon layer, each within the ratio of its own.
    if (this.#expanded > LAYERS * ratioFloor && this.#expanded > ratio * this.#size)
      this.#end('limit-ratio', `decompresses to more than ${ratio} times the file`);
    this.checkTime();
  }

  /** Accounts for bytes of streams that are beyond the ratio and too short to be refused by themselves. Throws `LimitReached`. */
  swell(bytes: number): void {
    this.#swollen += bytes;
    const { ratio, ratioFloor } = this.limits;
    if (this.#swollen > LAYERS * ratioFloor) this.#end('limit-ratio', `many parts decompress to more than ${ratio} times their size`);
  }

  /** Nothing more is done for this file: what is still to come would be decompressed only to be refused. */
  #end(rule: LimitReached['rule'], message: string): never {
    this.#spent = Number.POSITIVE_INFINITY;
    throw new LimitReached(rule, message);
  }
}

/** What surrounds a piece, where that changes how it is judged. */
export type Surrounding = 'file' | 'archive' | 'torch' | 'keras' | 'skops' | 'hidden';

/**
 * A run of bytes under judgement: a file, a member of an archive, a hole in it. `base` is where it starts in the scanned file, or null
 * where it was decompressed and has no place there.
 */
export class Piece {
  readonly run: Scan;
  readonly source: ByteSource;
  readonly name: string;
  readonly base: number | null;
  readonly depth: number;
  readonly surrounding: Surrounding;
  /** A more exact name than the container's, which its scan may set: `pytorch` for a zip archive. */
  format: string = '';
  /** Whether it reads as text, once that was asked. */
  text: boolean | null = null;

  constructor(scan: Scan, source: ByteSource, name: string, base: number | null, depth: number, surrounding: Surrounding = 'file') {
    this.run = scan;
    this.source = source;
    this.name = name;
    this.base = base;
    this.depth = depth;
    this.surrounding = surrounding;
  }

  get limits(): Limits {
    return this.run.limits;
  }

  /**
   * `offset` is relative to this piece. A finding inside an archive names the member. `advisory` is the one that this finding is of, where the
   * rule has several or none.
   */
  report(rule: RuleId, message: string, offset: number = 0, advisory?: AdvisoryId): void {
    const text = this.depth === 0 ? message : `${message} [in ${this.name}]`;
    this.run.report(rule, text, this.base === null ? null : this.base + offset, advisory);
  }

  /** A piece of this one, at the same depth: bytes `[start, end)` as they are. */
  part(start: number, end: number, name: string = this.name, surrounding: Surrounding = this.surrounding): Piece {
    const base = this.base === null ? null : this.base + start;
    return new Piece(this.run, sliceSource(this.source, start, end), name, base, this.depth, surrounding);
  }

  /** What lies inside, one level deeper: at `base` in this piece, or decompressed (`null`). */
  inside(source: ByteSource, name: string, base: number | null, surrounding: Surrounding = 'archive'): Piece {
    const place = base === null || this.base === null ? null : this.base + base;
    return new Piece(this.run, source, name, place, this.depth + 1, surrounding);
  }

  /** Identifies the bytes and judges them by their format. Gives the format's name. */
  async scan(): Promise<string> {
    if (this.depth > this.limits.depth) {
      this.report('limit-depth', `containers nest deeper than ${this.limits.depth} levels`);
      return 'unknown';
    }
    let name = 'unknown';
    try {
      this.run.checkTime();
      const format = formatOf(this);
      name = format.name;
      await format.scan(this);
      await scanBehindUserBlock(this, format);
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error;
      this.report(error.rule, error.message);
    }
    return this.format === '' ? name : this.format;
  }
}
