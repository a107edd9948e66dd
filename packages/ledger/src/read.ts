import { basename } from 'node:path';
import type { EntryKind, Outcome } from '@sallyport/core';
import type { Entry } from './entry.ts';
import { isCode } from './files.ts';
import { MalformedFrames } from './frames.ts';
import { parseLine } from './line.ts';
import { listLogs } from './recovery.ts';
import { listSegments, type Segment } from './segment.ts';
import { IndexBuilder, indexPath, pruneIndexes, SegmentIndex, type Term, writeIndex } from './segment-index.ts';
import { readLinesAt, readSegment } from './segment-read.ts';

/** Which entries to read; every given condition has to hold. Names are compared exactly. */
export interface EntryFilter {
  /** Names of logs (writers); all where not given. */
  readonly logs?: readonly string[];
  /** RFC 3339 UTC with milliseconds, as in entries: from `since` on, before `until`. */
  readonly since?: string;
  readonly until?: string;
  readonly kind?: EntryKind;
  /** The request id. */
  readonly id?: string;
  readonly principal?: string;
  readonly tenant?: string;
  readonly credential?: string;
  readonly ip?: string;
  readonly action?: string;
  readonly resource?: string;
  readonly model?: string;
  readonly outcome?: Outcome;
  readonly fault?: string;
  /** A detector or category among the verdicts. */
  readonly finding?: string;
  /** A digest of `Ledger.digest`, of a prompt or a reply. */
  readonly digest?: string;
  /** Entries whose `detail` has this member. */
  readonly detail?: string;
  /** Only the last so many that match. */
  readonly last?: number;
}

/** Whether closed segments are looked up in their indexes, which are made where they are missing (docs/ledger.md, 'The index'). */
export interface ReadOptions {
  readonly index?: boolean;
}

/** An entry and the log it stands in. */
export interface ReadEntry {
  readonly log: string;
  readonly entry: Entry;
}

/** A line of a log that is not an entry: the log is damaged, and `verifyLedger` says how. */
export class UnreadableEntry extends Error {
  override readonly name: string = 'UnreadableEntry';
}

/**
 * Entries of all logs, merged by time; entries of one log keep their order whatever their clock did. Reading follows a log that is
 * being written up to the moment of the call, and does not verify: `verifyLedger` does.
 * @throws {UnreadableEntry}
 */
export async function* readEntries(
  directory: string,
  filter: EntryFilter = {},
  { index = true }: ReadOptions = {},
): AsyncGenerator<ReadEntry> {
  const logs = (await listLogs(directory)).filter((log) => filter.logs?.includes(basename(log)) ?? true);
  if (filter.last === undefined) yield* merge(logs.map((log) => readLog(log, filter, index)));
  else yield* lastOf(logs, filter, filter.last, index);
}

/** Exchanges on record as open (`Ledger.open`) whose end is not: under way at the moment, or cut off by a crash. */
export async function* readUnconcluded(
  directory: string,
  filter: Pick<EntryFilter, 'logs' | 'since' | 'principal'> = {},
): AsyncGenerator<ReadEntry> {
  const open = new Map<string, ReadEntry>();
  for await (const read of readEntries(directory, { ...filter, outcome: 'open' })) open.set(`${read.log} ${read.entry.seq}`, read);
  for await (const { log, entry } of readEntries(directory, { ...filter, detail: 'opened' }))
    open.delete(`${log} ${entry.detail['opened']}`);
  yield* open.values();
}

async function* merge(logs: readonly AsyncGenerator<ReadEntry>[]): AsyncGenerator<ReadEntry> {
  const heads: { source: AsyncGenerator<ReadEntry>; next: ReadEntry }[] = [];
  try {
    for (const source of logs) {
      const { value, done } = await source.next();
      if (done !== true) heads.push({ source, next: value });
    }
    while (heads.length > 0) {
      const first = heads.reduce((earliest, head) => (head.next.entry.time < earliest.next.entry.time ? head : earliest));
      yield first.next;
      const { value, done } = await first.source.next();
      if (done === true) heads.splice(heads.indexOf(first), 1);
      else first.next = value;
    }
  } finally {
    for (const source of logs) await source.return(undefined);
  }
}

/** From the newest segments backwards, so that a `tail` of a large ledger reads little of it. */
async function* lastOf(logs: readonly string[], filter: EntryFilter, count: number, index: boolean): AsyncGenerator<ReadEntry> {
  const found: AsyncGenerator<ReadEntry>[] = [];
  for (const log of logs) {
    let tail: ReadEntry[] = [];
    const segments = await listSegments(log);
    for (const segment of segments.toReversed()) {
      if (tail.length >= count) break;
      const part: ReadEntry[] = [];
      for await (const entry of readIndexed(log, segment, filter, index && segment.compressed)) part.push(entry);
      tail = [...part.slice(-count), ...tail].slice(-count);
    }
    found.push(each(tail));
  }
  yield* (await Array.fromAsync(merge(found))).slice(-count);
}

async function* each(entries: readonly ReadEntry[]): AsyncGenerator<ReadEntry> {
  yield* entries;
}

async function* readLog(log: string, filter: EntryFilter, index: boolean): AsyncGenerator<ReadEntry> {
  const segments = await listSegments(log);
  for (const segment of segments) yield* readIndexed(log, segment, filter, index && segment.compressed);
}

/**
 * What matches in one segment. `indexed` for a compressed one, which does not change any more: its index says where to look, and is made
 * on the way where there is none. The index is not trusted: each line it leads to is read and compared.
 */
async function* readIndexed(log: string, segment: Segment, filter: EntryFilter, indexed: boolean): AsyncGenerator<ReadEntry> {
  try {
    yield* readOne(log, segment, filter, indexed);
  } catch (error) {
    // Retention has removed it since it was listed.
    if (!isCode(error, 'ENOENT') || (await listSegments(log)).some(({ first }) => first === segment.first)) throw error;
  }
}

async function* readOne(log: string, segment: Segment, filter: EntryFilter, indexed: boolean): AsyncGenerator<ReadEntry> {
  if (!indexed) return yield* scanSegment(log, segment, filter, null);
  const path = indexPath(log, segment);
  await using index = await SegmentIndex.open(path);
  if (index === null) {
    const builder = new IndexBuilder();
    yield* scanSegment(log, segment, filter, builder);
    await writeIndex(path, builder);
    return;
  }
  if (filter.since !== undefined && index.last < Date.parse(filter.since)) return;
  if (filter.until !== undefined && index.first >= Date.parse(filter.until)) return;
  yield* (await lookUp(log, segment, filter, index)) ?? scanSegment(log, segment, filter, null);
}

/** The answer by way of the index; null where it gives none: nothing asked for is in it, it spares nothing, or it is damaged. */
async function lookUp(log: string, segment: Segment, filter: EntryFilter, index: SegmentIndex): Promise<ReadEntry[] | null> {
  const terms = filterTerms(filter);
  const found = terms.length === 0 ? null : await index.find(terms);
  if (found === null || found.length === index.entries) return null;
  const entries: ReadEntry[] = [];
  if (found.length === 0) return entries;
  const { since: _since, until: _until, ...values } = filter;
  const frames = await index.frames();
  if (frames === null) return null;
  try {
    for await (const line of readLinesAt(segment, found, frames)) {
      const entry = entryOf(line, basename(log), segment);
      // Two values with one hash, or an index that leads astray and may so leave out what does match.
      if (!matches(entry, values)) return null;
      if (matches(entry, filter)) entries.push({ log: basename(log), entry });
    }
  } catch (error) {
    // Whether the index or the segment is damaged, reading all of the segment will tell.
    if (error instanceof UnreadableEntry || error instanceof MalformedFrames) return null;
    throw error;
  }
  return entries;
}

/** Makes the missing indexes of closed segments, and removes those of segments that are no more. */
export async function buildIndexes(
  directory: string,
  onProgress: (entries: number) => void = () => {},
): Promise<{ readonly built: number; readonly entries: number }> {
  let built = 0;
  let entries = 0;
  for (const log of await listLogs(directory)) {
    const segments = await listSegments(log);
    await pruneIndexes(log, segments);
    for (const segment of segments.filter(({ compressed }) => compressed)) {
      await using known = await SegmentIndex.open(indexPath(log, segment));
      if (known !== null) continue;
      const builder = new IndexBuilder();
      for await (const { lines, frameEnd } of readSegment(segment)) {
        for (const line of lines) builder.add(entryOf(line, basename(log), segment));
        builder.frame(frameEnd);
        entries += lines.length;
        onProgress(entries);
      }
      if (await writeIndex(indexPath(log, segment), builder)) built += 1;
    }
  }
  return { built, entries };
}

async function* scanSegment(log: string, segment: Segment, filter: EntryFilter, builder: IndexBuilder | null): AsyncGenerator<ReadEntry> {
  const name = basename(log);
  const needles = needlesOf(filter);
  for await (const { lines, frameEnd } of readSegment(segment)) {
    for (const line of lines) {
      // Most lines of a query do not match, and a search in the text is a tenth of parsing it.
      const candidate = needles.every((needle) => line.includes(needle));
      if (!candidate && builder === null) continue;
      const entry = entryOf(line, name, segment);
      builder?.add(entry);
      if (candidate && matches(entry, filter)) yield { log: name, entry };
    }
    builder?.frame(frameEnd);
  }
}

function entryOf(line: string, log: string, segment: Segment): Entry {
  const entry = parseEntry(line);
  if (entry === null) throw new UnreadableEntry(`${log}: a line of the segment from ${segment.first} is not an entry`);
  return entry;
}

/** What the index knows of a filter; times and the log are looked at elsewhere. */
function filterTerms(filter: EntryFilter): Term[] {
  const fields = [
    'id',
    'kind',
    'principal',
    'tenant',
    'credential',
    'ip',
    'action',
    'resource',
    'model',
    'outcome',
    'fault',
    'finding',
    'digest',
    'detail',
  ] as const;
  return fields.flatMap((field): Term[] => {
    const value = filter[field];
    return value === undefined ? [] : [[field, value]];
  });
}

/** The line as an entry, or null where it is not one. */
export function parseEntry(line: string): Entry | null {
  if (parseLine(line) === null) return null;
  // The grammar of a line admits nothing but an entry, so what JSON makes of it is one.
  const entry: Entry = JSON.parse(line);
  return entry;
}

/** Text that every matching line holds. Canonical JSON has one way to write a member. */
function needlesOf(filter: EntryFilter): string[] {
  const exact: [string, string | undefined][] = [
    ['id', filter.id],
    ['kind', filter.kind],
    ['id', filter.principal],
    ['tenant', filter.tenant],
    ['credential', filter.credential],
    ['ip', filter.ip],
    ['action', filter.action],
    ['resource', filter.resource],
    ['name', filter.model],
    ['outcome', filter.outcome],
    ['fault', filter.fault],
  ];
  const needles = exact.flatMap(([name, value]) => (value === undefined ? [] : [`"${name}":${JSON.stringify(value)}`]));
  for (const value of [filter.finding, filter.digest]) if (value !== undefined) needles.push(JSON.stringify(value));
  if (filter.detail !== undefined) needles.push(`${JSON.stringify(filter.detail)}:`);
  return needles;
}

function matches(entry: Entry, filter: EntryFilter): boolean {
  const { principal, source, model, verdicts, digest } = entry;
  return (
    is(filter.id, entry.id) &&
    is(filter.kind, entry.kind) &&
    is(filter.principal, principal?.id) &&
    is(filter.tenant, principal?.tenant) &&
    is(filter.credential, principal?.credential) &&
    is(filter.ip, source?.ip) &&
    is(filter.action, entry.action) &&
    is(filter.resource, entry.resource) &&
    is(filter.model, model?.name) &&
    is(filter.outcome, entry.outcome) &&
    is(filter.fault, entry.fault) &&
    (filter.since === undefined || entry.time >= filter.since) &&
    (filter.until === undefined || entry.time < filter.until) &&
    (filter.detail === undefined || Object.hasOwn(entry.detail, filter.detail)) &&
    (filter.finding === undefined ||
      verdicts.some(({ detector, category }) => detector === filter.finding || category === filter.finding)) &&
    (filter.digest === undefined || digest.prompt === filter.digest || digest.reply === filter.digest)
  );
}

function is(wanted: string | undefined, value: string | null | undefined): boolean {
  return wanted === undefined || wanted === value;
}
