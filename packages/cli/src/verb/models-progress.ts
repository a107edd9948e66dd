import { statSync } from 'node:fs';

const MEBIBYTE = 2 ** 20;
const WIDTH = 24;

/** A bar with files, bytes and throughput on stderr, where that is a terminal, for work that takes long enough to wonder. */
export class Progress {
  readonly #terminal: boolean = process.stderr.isTTY === true;
  readonly #start: number = performance.now();
  readonly #files: number;
  readonly #total: number;
  #finished: number = 0;
  #bytes: number = 0;
  #last: number = 0;
  #shown: boolean = false;

  constructor(files: readonly string[]) {
    this.#files = files.length;
    this.#total = this.#terminal ? files.reduce((total, file) => total + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0) : 0;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#show();
  }

  /** One more file is finished; the line makes room for its result. */
  done(): void {
    this.#finished += 1;
    this.clear();
  }

  #show(): void {
    const now = performance.now();
    if (!this.#terminal || now - this.#last < 200) return;
    this.#last = now;
    this.#shown = true;
    const share = this.#total === 0 ? 0 : Math.min(1, this.#bytes / this.#total);
    const bar = '█'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '░');
    const speed = this.#bytes / MEBIBYTE / Math.max(0.001, (now - this.#start) / 1000);
    const amount = `${(this.#bytes / MEBIBYTE).toFixed(0)} of ${(this.#total / MEBIBYTE).toFixed(0)} MiB`;
    process.stderr.write(`\r\x1b[2K${bar} ${this.#finished}/${this.#files} files, ${amount}, ${speed.toFixed(0)} MiB/s`);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}
