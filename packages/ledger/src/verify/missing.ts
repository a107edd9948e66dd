export interface MissingRange {
  from: number;
  until: number;
  /** The line after which the first of them should stand. */
  readonly file: string;
  readonly line: number;
}

/** Numbers of entries that were not found, as ascending ranges: a gap may be millions wide. */
export class MissingRanges {
  readonly list: MissingRange[] = [];

  /** `seq` is larger than any added before. */
  add(seq: number, file: string, line: number): void {
    const last = this.list.at(-1);
    if (last?.until === seq) last.until++;
    else this.list.push({ from: seq, until: seq + 1, file, line });
  }

  has(seq: number): boolean {
    return this.list.some(({ from, until }) => seq >= from && seq < until);
  }

  /** Whether `seq` was missing; it no longer is. */
  take(seq: number): boolean {
    const at = this.list.findIndex(({ from, until }) => seq >= from && seq < until);
    const range = this.list[at];
    if (range === undefined) return false;
    const parts = [
      { ...range, until: seq },
      { ...range, from: seq + 1 },
    ];
    this.list.splice(at, 1, ...parts.filter(({ from, until }) => from < until));
    return true;
  }
}
