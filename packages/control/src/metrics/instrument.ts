/** What Prometheus and OpenTelemetry both understand of a metric at one moment. Times are seconds, sizes bytes, shares 0 to 1. */
export interface Family {
  /** Without the suffixes `_total`, `_bucket`, `_sum` and `_count`, which are the exposition's. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly series: readonly Series[];
}

export interface Series {
  readonly labels: Labels;
  readonly value: number | Distribution;
}

export type Labels = Readonly<Record<string, string>>;

export interface Distribution {
  /** Upper bounds, ascending; the last bucket, `+Inf`, is implied. */
  readonly bounds: readonly number[];
  /** Observations in each bucket alone (not cumulative), one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
  /** The newest observation of each bucket that can be followed up, or null. */
  readonly exemplars: readonly (Exemplar | null)[];
}

/** Leads from a number to the exchange behind it: an id, no identity. */
export interface ExchangeRef {
  readonly label: 'trace_id' | 'request_id';
  readonly id: string;
}

export interface Exemplar extends ExchangeRef {
  readonly value: number;
}

/** What can be read at any time. */
export interface Instrument {
  collect(): Family;
}

/** Series one family may have. What comes beyond is counted in one series whose labels all say `other`. */
const MAX_SERIES = 2_000;
const OTHER = 'other';

/**
 * The series of a family by their label values. Written for the hot path: a caller that asks for the labels it asked for last pays
 * three comparisons (prom-client makes, sorts and hashes an object of labels at every call, 4 µs an exchange).
 */
abstract class SeriesSet<Cell> implements Instrument {
  readonly name: string;
  protected readonly help: string;
  readonly #labelNames: readonly string[];
  readonly #cells = new Map<string, { readonly values: readonly string[]; readonly cell: Cell }>();

  constructor(name: string, help: string, labelNames: readonly string[]) {
    this.name = name;
    this.help = help;
    this.#labelNames = labelNames;
  }

  /** The series with these label values, in the order of the names. It stays the same object for as long as the family lives. */
  of(...values: string[]): Cell {
    const key = values.join('\n');
    const known = this.#cells.get(key);
    if (known !== undefined) return known.cell;
    if (this.#cells.size >= MAX_SERIES && values[0] !== OTHER) return this.of(...values.map(() => OTHER));
    const cell = this.make();
    this.#cells.set(key, { values, cell });
    return cell;
  }

  collect(): Family {
    const series = Array.from(this.#cells.values(), ({ values, cell }) => ({
      labels: Object.fromEntries(this.#labelNames.map((name, index) => [name, values[index] ?? ''])),
      value: this.read(cell),
    }));
    return { name: this.name, help: this.help, type: this.type, series };
  }

  abstract readonly type: Family['type'];
  protected abstract make(): Cell;
  protected abstract read(cell: Cell): Series['value'];
}

/** A number that a caller holds and changes. */
export interface Cell {
  value: number;
}

export class Counter extends SeriesSet<Cell> {
  readonly type = 'counter';

  protected make(): Cell {
    return { value: 0 };
  }

  protected read(cell: Cell): number {
    return cell.value;
  }
}

export class Histogram extends SeriesSet<HistogramCell> {
  readonly type = 'histogram';
  readonly #bounds: readonly number[];

  /** `bounds` ascending. */
  constructor(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) {
    super(name, help, labelNames);
    this.#bounds = bounds;
  }

  protected make(): HistogramCell {
    return new HistogramCell(this.#bounds);
  }

  protected read(cell: HistogramCell): Distribution {
    return cell.read();
  }
}

export class HistogramCell {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  readonly #followed: (ExchangeRef | null)[];
  readonly #values: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
    this.#followed = new Array<ExchangeRef | null>(bounds.length + 1).fill(null);
    this.#values = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Counts `value`. `exchange`, kept by its reference, is where it can be followed up. */
  observe(value: number, exchange: ExchangeRef | null = null): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
    if (exchange === null) return;
    this.#followed[bucket] = exchange;
    this.#values[bucket] = value;
  }

  read(): Distribution {
    const exemplars = this.#followed.map((exchange, bucket) =>
      exchange === null ? null : { ...exchange, value: this.#values[bucket] ?? 0 },
    );
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, exemplars };
  }
}

/** A gauge that is asked when it is read. */
export function gauge(name: string, help: string, read: () => number | readonly Series[]): Instrument {
  return {
    collect: () => {
      const value = read();
      return { name, help, type: 'gauge', series: typeof value === 'number' ? [{ labels: {}, value }] : value };
    },
  };
}
