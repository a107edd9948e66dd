/** Answers until which nothing is known. */
const ENOUGH = 20;
/** How far a late answer moves the estimate; the others move it back 19 times less, so that it rests where one in twenty is late. */
const STEP = 0.095;

/**
 * What 95 % of the answers took to their first byte of late, by what was asked. An estimate that each answer moves a little (after Ma,
 * Muthukrishnan, Sandler: Frugal Streaming, 2013) needs no times of answers that were broken off, only that they came later than it.
 */
export class FirstBytes {
  /** As many as there are models, endpoints and ways to be answered. */
  readonly #known = new Map<string, { count: number; p95: number }>();

  /** Milliseconds; infinite until 20 answers were seen. */
  p95(name: string): number {
    const known = this.#known.get(name);
    return known === undefined || known.count < ENOUGH ? Number.POSITIVE_INFINITY : known.p95;
  }

  /** An answer began after so many milliseconds, or had not begun then. */
  observe(name: string, milliseconds: number): void {
    let known = this.#known.get(name);
    if (known === undefined) {
      known = { count: 0, p95: 1 };
      this.#known.set(name, known);
    }
    known.count += 1;
    if (known.count <= ENOUGH) known.p95 = Math.max(known.p95, milliseconds);
    else known.p95 = Math.max(1, known.p95 * (milliseconds > known.p95 ? 1 + STEP : 1 - STEP / 19));
  }
}
