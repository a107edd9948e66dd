import { type Entry, parseEntry } from '@sallyport/ledger';

/** An entry on its way to a destination. */
export interface ExportEvent {
  /** Name of the log it stands in. */
  readonly log: string;
  readonly seq: number;
  /** The line of the ledger. */
  readonly line: string;
  /** Null where the line is no entry: somebody changed the file. `sallyport audit verify` says how. */
  readonly entry: Entry | null;
}

/** An event that has an entry: what destinations are given. */
export type SoundEvent = ExportEvent & { readonly entry: Entry };

export function readEvent(log: string, seq: number, line: string): ExportEvent {
  const entry = parseEntry(line);
  return { log, seq, line, entry: entry?.seq === seq ? entry : null };
}

export function isSound(event: ExportEvent): event is SoundEvent {
  return event.entry !== null;
}
