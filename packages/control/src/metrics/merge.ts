import type { Distribution, Family, Labels, Series } from './instrument.ts';

/** Gauges of which the sum over processes is what an operator asks for; of any other the largest. */
const SUMMED = /^sallyport_(requests_in_flight|tokens_in_flight|ledger_entries|ledger_pending)$|^process_(?!start_time_)/;
/** Gauges that are as good as the worst process: 0 is trouble. */
const WORST = /^sallyport_upstream_up$/;

/** The metrics of several processes as those of one: counts add up. */
export function mergeFamilies(processes: readonly (readonly Family[])[]): Family[] {
  const merged = new Map<string, { family: Family; series: Map<string, Series> }>();
  for (const family of processes.flat()) {
    let known = merged.get(family.name);
    if (known === undefined) {
      known = { family, series: new Map() };
      merged.set(family.name, known);
    }
    for (const one of family.series) {
      const name = nameOf(one.labels);
      const before = known.series.get(name);
      known.series.set(name, before === undefined ? one : { labels: one.labels, value: join(family, before.value, one.value) });
    }
  }
  return [...merged.values()].map(({ family, series }) => ({ ...family, series: [...series.values()] }));
}

function nameOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function join({ name, type }: Family, a: Series['value'], b: Series['value']): Series['value'] {
  if (typeof a !== 'number' || typeof b !== 'number') return typeof a === 'number' || typeof b === 'number' ? b : addDistributions(a, b);
  // What one process does not know another may: the one that started the others has no snapshot.
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? b : a;
  if (type === 'counter' || SUMMED.test(name)) return a + b;
  return WORST.test(name) ? Math.min(a, b) : Math.max(a, b);
}

function addDistributions(a: Distribution, b: Distribution): Distribution {
  return {
    bounds: a.bounds,
    counts: a.counts.map((count, index) => count + (b.counts[index] ?? 0)),
    sum: a.sum + b.sum,
    exemplars: a.exemplars.map((exemplar, index) => b.exemplars[index] ?? exemplar),
  };
}
