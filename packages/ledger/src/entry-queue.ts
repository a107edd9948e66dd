import { hash } from 'node:crypto';
import type { EntryFacts } from '@sallyport/core';
import { type EntryTexts, HASH_MEMBER, type Receipt } from './entry.ts';
import { MAX_WRITE_BYTES, type Tip } from './recovery.ts';
import type { SerialisedEntry } from './serialise.ts';

/** Who waits for an entry. */
export interface Caller {
  /** The ledger itself, whose entries are not counted among the refused. */
  readonly own: boolean;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** An entry that was accepted and has neither number nor line yet. */
export interface Accepted {
  readonly facts: EntryFacts;
  readonly texts: EntryTexts | null;
  /** When it was accepted, epoch milliseconds. */
  readonly time: number;
  readonly caller: Caller;
}

/** An entry that waits for the disk. */
export interface Pending {
  readonly tip: Tip;
  readonly caller: Caller;
  /** Where its line ends in its batch. */
  readonly end: number;
}

/** What is written at once: lines side by side, and the entries they are. */
export interface Group {
  readonly entries: readonly Pending[];
  readonly bytes: Buffer;
}

interface Batch {
  readonly buffer: Buffer;
  /** Bytes of lines that were taken. */
  start: number;
  /** Bytes of lines. */
  end: number;
  entries: Pending[];
}

const WRITE_BYTES = 1 << 20;
/** Buffers kept for reuse: one is filled while the other is written. */
const SPARE = 2;

/**
 * Accepted entries in their order: for a moment as facts, so that the lines of a group are spelled one after the other, which takes half as
 * long as each by itself between other work; then as bytes. A line is spelled once, into the buffer from which it is hashed and written:
 * text that waits would be copied by every collection of garbage meanwhile.
 */
export class EntryQueue {
  #accepted: Accepted[] = [];
  #batches: Batch[] = [];
  readonly #spare: Buffer[] = [];
  #length = 0;

  /** Entries that wait, spelled or not. */
  get length(): number {
    return this.#accepted.length + this.#length;
  }

  /** Takes an entry in. Answers how many are not spelled yet. */
  accept(entry: Accepted): number {
    return this.#accepted.push(entry);
  }

  /** Takes those that are not spelled yet, for `add`. */
  takeAccepted(): readonly Accepted[] {
    const accepted = this.#accepted;
    this.#accepted = [];
    return accepted;
  }

  /** Puts the entry, number `seq` of time `time`, in line. Answers what the next one follows. */
  add({ head, tail }: SerialisedEntry, seq: number, time: number, caller: Caller): Tip {
    const batch = this.#open();
    const { buffer, end } = batch;
    // The leaf is spelled so that the tail stands where the line has it; then the head moves to the front, and the hash in between.
    const leaf = end + HASH_MEMBER - 1;
    const length = buffer.write(`\0${head}${tail}\n`, leaf, 'utf8');
    const digest = hash('sha256', buffer.subarray(leaf, leaf + length - 1), 'hex');
    // As many bytes as UTF-16 units: all of it is ASCII.
    const headBytes = length === head.length + tail.length + 2 ? head.length : Buffer.byteLength(head);
    buffer.copyWithin(end, leaf + 1, leaf + 1 + headBytes);
    buffer.write(`,"hash":"${digest}"`, end + headBytes, 'latin1');
    batch.end = leaf + length;
    const tip = { seq, hash: digest, time };
    batch.entries.push({ tip, caller, end: batch.end });
    this.#length++;
    return tip;
  }

  /** Takes what is written next: a batch, or what is left of one, and of it no more than `limit` entries. */
  take(limit: number): Group {
    const [batch] = this.#batches;
    if (batch === undefined) return { entries: [], bytes: Buffer.alloc(0) };
    const all = batch.entries.length <= limit;
    const entries = all ? batch.entries : batch.entries.slice(0, limit);
    const end = all ? batch.end : (entries.at(-1)?.end ?? batch.start);
    const bytes = batch.buffer.subarray(batch.start, end);
    if (all) this.#batches.shift();
    else {
      batch.entries = batch.entries.slice(limit);
      batch.start = end;
    }
    this.#length -= entries.length;
    return { entries, bytes };
  }

  /** Takes back a group that was written: its buffer is used again. */
  release({ bytes }: Group): void {
    // Nothing was taken of an empty queue.
    if (bytes.length > 0 && this.#spare.length < SPARE && !this.#batches.some(({ buffer }) => buffer.buffer === bytes.buffer))
      this.#spare.push(Buffer.from(bytes.buffer));
  }

  /** Gives up what waits. Answers who waits for it. */
  clear(): Caller[] {
    const entries = [...this.#batches.flatMap((batch) => batch.entries), ...this.#accepted];
    this.#accepted = [];
    this.#batches = [];
    this.#length = 0;
    return entries.map(({ caller }) => caller);
  }

  #open(): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.end < WRITE_BYTES) return last;
    // Of its own memory, so that what is released is all of it.
    const buffer = this.#spare.pop() ?? Buffer.from(new ArrayBuffer(MAX_WRITE_BYTES));
    const batch = { buffer, start: 0, end: 0, entries: [] };
    this.#batches.push(batch);
    return batch;
  }
}
