import type { Entry } from './entry.ts';

/** How the line begins by which the ledger says what retention removed: members are in the order of their names. */
export const RETENTION = '{"action":"ledger.retention"';

/** `until` of a sound entry of retention. */
export function retainedBy(line: string): number {
  const entry: Entry = JSON.parse(line);
  const until = entry.kind === 'system' ? entry.detail['until'] : null;
  return typeof until === 'number' ? until : 0;
}
