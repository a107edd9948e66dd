import type { Family } from './instrument.ts';

/** One exporter of the ledger, by its name in the configuration. */
export interface ExporterFigures {
  readonly name: string;
  readonly lag: number;
  readonly lagMilliseconds: number;
  readonly delivered: number;
  readonly dead: number;
  readonly failure: { readonly attempts: number } | null;
}

/** How the delivery of the ledger goes; nothing in a process that leaves it to another. */
export function exporterFamilies(exporters: readonly ExporterFigures[]): readonly Family[] {
  const of = (name: string, type: Family['type'], help: string, read: (figures: ExporterFigures) => number): Family => ({
    name: `sallyport_ledger_exporter_${name}`,
    help,
    type,
    series: exporters.map((figures) => ({ labels: { exporter: figures.name }, value: read(figures) })),
  });
  return [
    of('lag_entries', 'gauge', 'Entries that an exporter has yet to deliver.', ({ lag }) => lag),
    of('lag_seconds', 'gauge', 'How long the oldest of them has waited.', ({ lagMilliseconds }) => lagMilliseconds / 1000),
    of('delivered_entries', 'counter', 'Entries an exporter has delivered.', ({ delivered }) => delivered),
    of(
      'dead_letters',
      'counter',
      'Entries an exporter has put aside (sallyport audit exporters replay sends them again).',
      ({ dead }) => dead,
    ),
    of('failed_attempts', 'gauge', 'Attempts that failed since the last that did not.', ({ failure }) => failure?.attempts ?? 0),
  ];
}
