import { createHmac, type KeyObject } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { Clock, EntryFacts, Random } from '@sallyport/core';
import type { Checkpoint } from './checkpoint.ts';
import type { Receipt } from './entry.ts';
import { isCode, logDirectory, WRITER_NAME } from './files.ts';
import type { LedgerSigner } from './keys.ts';
import { LogLock } from './lock.ts';
import { leafHash } from './merkle.ts';
import { Publisher } from './publisher.ts';
import { MAX_WRITE_BYTES, type RecoveredLog, recoverLog, SEGMENT_UNIT, type Tip } from './recovery.ts';
import { expiredSegments, type Retention } from './retention.ts';
import { compressSegment, diskStore, listSegments, type SegmentFile, type SegmentStore, type SyncMode, segmentPath } from './segment.ts';
import { serialiseEntry } from './serialise.ts';

export interface LedgerOptions {
  /** Holds the logs of all writers. */
  readonly directory: string;
  /** Names this process's log: `[a-z0-9][a-z0-9._-]{0,63}`. No two processes write one log. */
  readonly writer: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Of `loadLedgerKeys`. */
  readonly signer: LedgerSigner;
  readonly digestKey: KeyObject;
  /** Verifier keys that signed this log before `signer` did. */
  readonly previousKeys?: readonly string[];
  /**
   * What `append` does while the disk refuses: `refuse` rejects with `LedgerUnavailable`, `unsafe-continue-unrecorded` answers
   * `UNRECORDED`. Either way the gap is counted and becomes an entry as soon as the disk takes one.
   */
  readonly onFailure?: 'refuse' | 'unsafe-continue-unrecorded';
  readonly syncMode?: SyncMode;
  /** Bytes after which a segment is closed and compressed. */
  readonly segmentBytes?: number;
  /** Milliseconds between signed checkpoints while entries come in. */
  readonly checkpointInterval?: number;
  /** Milliseconds between attempts to write again after a failure. */
  readonly retryInterval?: number;
  /** Entries that may wait for the disk before `append` refuses more. */
  readonly maxPending?: number;
  readonly store?: SegmentStore;
}

export type FailureReason = 'disk-full' | 'read-only' | 'permission' | 'io' | 'log-removed' | 'lock-lost' | 'overloaded' | 'closed';

/** The entry is not in the log: the act it records must not be answered, unless policy says otherwise. */
export class LedgerUnavailable extends Error {
  override readonly name: string = 'LedgerUnavailable';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, options?: ErrorOptions) {
    super(`the ledger cannot record: ${reason}`, options);
    this.reason = reason;
  }
}

/** Answered in place of a receipt under `unsafe-continue-unrecorded`: nothing was written. */
export const UNRECORDED: Receipt = Object.freeze({ seq: -1, hash: '' });

export interface LedgerHealth {
  readonly state: 'ok' | 'failing';
  /** Why, and since when (epoch milliseconds); null while ok. */
  readonly reason: FailureReason | null;
  readonly since: number | null;
  /** Entries not recorded since then. */
  readonly refused: number;
  /** Entries in the log: durable ones. */
  readonly entries: number;
  /** Entries accepted and not yet durable. */
  readonly pending: number;
  /** Durable entries that no signed checkpoint covers yet. */
  readonly unsealed: number;
  readonly checkpoint: { readonly size: number; readonly at: number | null } | null;
  /** Why the last checkpoint could not be published or a segment not be compressed; appends go on. */
  readonly sealing: FailureReason | null;
}

/** Collects the pieces of a text whose digest `Ledger.digest` would give. */
export interface Digester {
  update(text: string | Uint8Array): void;
  /** Lowercase hex. Called once, at the end. */
  hex(): string;
}

/** An exchange on record as open. */
export interface OpenExchange extends AsyncDisposable {
  readonly receipt: Receipt;
  /** Records its end, with the number of the open entry as `detail.opened`. Once only; later calls answer the first one's receipt. */
  conclude(facts: EntryFacts): Promise<Receipt>;
}

interface Pending {
  readonly line: string;
  readonly tip: Tip;
  /** The ledger's own entry, not counted among the refused. */
  readonly own: boolean;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: LedgerUnavailable) => void;
}

interface Trouble {
  readonly reason: FailureReason;
  readonly since: number;
  refused: number;
}

/** A clock that steps back by no more than this is held still instead: time synchronisation, not an event. */
const CLOCK_TOLERANCE_MS = 1000;
const WRITE_BYTES = 1 << 20;

/**
 * Opens the log of one writer, recovering it where a crash left it, and records that it was opened.
 * @throws {LogLocked} another process writes it · {LogDamaged} it is not what a crash can leave · {LedgerUnavailable} the disk refuses
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  if (!WRITER_NAME.test(options.writer)) throw new RangeError('ledger writer must match [a-z0-9][a-z0-9._-]{0,63}');
  const log = logDirectory(options.directory, options.writer);
  try {
    await mkdir(log, { recursive: true, mode: 0o700 });
    const lock = await LogLock.acquire(log, options.random);
    try {
      const recovered = await recoverLog(log, options.writer, options.signer, options.previousKeys ?? [], options.clock.now());
      const store = options.store ?? diskStore(options.syncMode ?? 'fdatasync');
      const ledger = new LogWriter(log, options, lock, store, await store.open(recovered.segment.path, true), recovered);
      await ledger.start(recovered);
      return ledger;
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // Node reports a read-only parent of a directory to be made as ENOENT.
    throw new LedgerUnavailable(isCode(error, 'ENOENT') ? 'io' : reasonOf(error), { cause: error });
  }
}

/** The log of one process. Close it to leave a signed checkpoint over everything; a crash leaves one a second old at most. */
export interface Ledger extends AsyncDisposable {
  readonly origin: string;
  /**
   * Records an entry; resolves when it is durable. Entries have the order of the calls.
   * @throws {InvalidEntry} the facts are not `EntryFacts` · {LedgerUnavailable} the entry is not recorded
   */
  append(facts: EntryFacts): Promise<Receipt>;
  /**
   * Records, as outcome `open`, that an exchange begins whose end will be another entry: for acts that policy wants on the disk before
   * they are done. Dispose what it answers, or conclude it.
   */
  open(facts: EntryFacts): Promise<OpenExchange>;
  /** HMAC-SHA-256 of the text's UTF-8 under the digest key, lowercase hex: equal texts are found, none can be guessed without the key. */
  digest(text: string | Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): Digester;
  /** Whether entries are refused at the moment. */
  failing(): boolean;
  health(): LedgerHealth;
  /** Signs a checkpoint over every durable entry now. Null where that failed; `health().sealing` says why. */
  checkpoint(): Promise<Checkpoint | null>;
  /**
   * Removes closed segments whose last entry is older than `before` (epoch milliseconds). Their hashes, tiles and checkpoints stay, so
   * that all later entries can still be proved, and an entry records the removal.
   * @throws {LogDamaged} where a segment to be removed is not what its tiles say: evidence is not thrown away
   */
  retain(before: number): Promise<Retention>;
  /** Tries at once to recover from a failure instead of waiting for the next attempt. */
  retry(): Promise<LedgerHealth>;
  close(): Promise<void>;
}

class LogWriter implements Ledger {
  readonly origin: string;
  readonly #log: string;
  readonly #options: LedgerOptions;
  readonly #clock: Clock;
  readonly #lock: LogLock;
  readonly #store: SegmentStore;
  readonly #publisher: Publisher;
  readonly #segmentBytes: number;
  readonly #maxPending: number;
  readonly #buffer: Buffer = Buffer.allocUnsafe(MAX_WRITE_BYTES);
  #file: SegmentFile;
  #segment: { first: number; path: string; length: number };
  /** The last entry accepted; what the next one follows. */
  #tip: Tip;
  /** The last entry that is durable. */
  #durable: Tip;
  #pending: Pending[] = [];
  #writing: Promise<void> | null = null;
  #accepting = true;
  #closed = false;
  #trouble: Trouble | null = null;
  #overloads = 0;
  #housekeeping: unknown = null;
  #compressing: Promise<void> = Promise.resolve();
  #sealTimer: NodeJS.Timeout | null = null;
  #retrying: Promise<void> | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #lockTimer: NodeJS.Timeout | null = null;
  /** `time` of the last entry as text: most entries share their millisecond with one before. */
  #timeText = { at: -1, text: '' };

  constructor(log: string, options: LedgerOptions, lock: LogLock, store: SegmentStore, file: SegmentFile, recovered: RecoveredLog) {
    this.origin = recovered.description.origin;
    this.#log = log;
    this.#options = options;
    this.#clock = options.clock;
    this.#lock = lock;
    this.#store = store;
    this.#file = file;
    this.#segment = { ...recovered.segment };
    this.#tip = recovered.tip;
    this.#durable = recovered.tip;
    this.#segmentBytes = options.segmentBytes ?? 16 << 20;
    this.#maxPending = options.maxPending ?? 100_000;
    this.#publisher = new Publisher(log, this.origin, options.signer, options.clock, recovered.edge, recovered.published);
    for (const tile of recovered.tiles) this.#publisher.fill(tile);
  }

  /** Cuts an unfinished write, makes the rest durable, and records the opening. */
  async start(recovered: RecoveredLog): Promise<void> {
    try {
      await this.#file.truncate(this.#segment.length);
      await this.#file.sync();
    } catch (error) {
      await this.#file.close();
      throw new LedgerUnavailable(reasonOf(error), { cause: error });
    }
    this.#lockTimer = setInterval(() => void this.#refreshLock(), 1000).unref();
    const [ed25519, mlDsa44] = this.#options.signer.verifierKeys(this.origin);
    const facts = this.#systemFacts('ledger.open', {
      generation: this.#lock.generation,
      key: ed25519?.split('+')[1] ?? null,
      quantumSafeKey: mlDsa44?.split('+')[1] ?? null,
      torn: recovered.torn,
      unsealed: recovered.unsealed,
    });
    try {
      await this.#record(facts, true);
    } catch (error) {
      await this.close();
      throw error;
    }
    await this.#publisher.seal(false);
    this.#compressing = this.#compressClosed();
  }

  append(facts: EntryFacts): Promise<Receipt> {
    if (!this.#accepting) return this.#refuse(this.#closed ? 'closed' : (this.#trouble?.reason ?? 'io'));
    if (this.#pending.length >= this.#maxPending) {
      this.#overloads++;
      return this.#refuse('overloaded');
    }
    return this.#record(facts);
  }

  async open(facts: EntryFacts): Promise<OpenExchange> {
    const receipt = await this.append({ ...facts, outcome: 'open' });
    let end: Promise<Receipt> | null = null;
    const conclude = (last: EntryFacts): Promise<Receipt> => {
      end ??= this.append({ ...last, detail: { ...last.detail, opened: receipt.seq } });
      return end;
    };
    return {
      receipt,
      conclude,
      async [Symbol.asyncDispose]() {
        // Nobody said how the exchange ended, which is an end too.
        await conclude({ ...facts, outcome: 'failed', fault: 'internal_error' });
      },
    };
  }

  retain(before: number): Promise<Retention> {
    // Takes its turn with compression, which works on the same files.
    const done = this.#compressing.then(() => this.#retain(before));
    this.#compressing = done.then(ignore, ignore);
    return done;
  }

  /** Expired segments go after the entry that says so is durable. */
  async #retain(before: number): Promise<Retention> {
    if (!this.#accepting) throw new LedgerUnavailable(this.#closed ? 'closed' : (this.#trouble?.reason ?? 'io'));
    const expired = await expiredSegments(this.#log, before);
    const first = expired[0];
    const last = expired.at(-1);
    if (first === undefined || last === undefined) return { segments: 0, from: 0, until: 0 };
    const { until } = last;
    const from = first.segment.first;
    const receipt = await this.#record(
      this.#systemFacts('ledger.retention', { from, until, before: new Date(before).toISOString() }),
      true,
    );
    if (receipt === UNRECORDED) throw new LedgerUnavailable(this.#trouble?.reason ?? 'io');
    for (const { segment } of expired) await rm(segment.path);
    return { segments: expired.length, from, until };
  }

  digest(text: string | Uint8Array): string {
    return createHmac('sha256', this.#options.digestKey).update(text).digest('hex');
  }

  startDigest(): Digester {
    const hmac = createHmac('sha256', this.#options.digestKey);
    return { update: (text) => void hmac.update(text), hex: () => hmac.digest('hex') };
  }

  failing(): boolean {
    return !this.#accepting;
  }

  health(): LedgerHealth {
    const { published, publishedAt, size } = this.#publisher;
    const sealing = this.#publisher.trouble ?? this.#housekeeping;
    const closed = this.#closed ? ({ reason: 'closed', since: null, refused: 0 } as const) : null;
    const trouble = this.#trouble ?? closed;
    return {
      state: trouble === null ? 'ok' : 'failing',
      reason: trouble?.reason ?? null,
      since: trouble?.since ?? null,
      refused: (trouble?.refused ?? 0) + this.#overloads,
      entries: this.#durable.seq + 1,
      pending: this.#pending.length,
      unsealed: size - (published?.size ?? 0),
      checkpoint: published === null ? null : { size: published.size, at: publishedAt },
      sealing: sealing === null ? null : reasonOf(sealing),
    };
  }

  async checkpoint(): Promise<Checkpoint | null> {
    await this.#publisher.seal(false);
    return this.#publisher.trouble === null ? this.#publisher.published : null;
  }

  async retry(): Promise<LedgerHealth> {
    this.#retrying ??= this.#recover().finally(() => {
      this.#retrying = null;
    });
    await this.#retrying;
    return this.health();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const wasOpen = this.#accepting;
    this.#accepting = false;
    this.#closed = true;
    for (const timer of [this.#sealTimer, this.#retryTimer, this.#lockTimer]) if (timer !== null) clearTimeout(timer);
    try {
      // A failure to say goodbye is visible as a log whose last entry is not `ledger.close`.
      if (wasOpen) await this.#record(this.#systemFacts('ledger.close', {}), true).catch(onlyUnavailable);
      await this.#retrying;
      await this.#writing;
      await this.#publisher.seal(false);
      await this.#compressing;
    } finally {
      await this.#file.close();
      await this.#lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #refuse(reason: FailureReason): Promise<Receipt> {
    if (this.#trouble !== null) this.#trouble.refused++;
    if (this.#options.onFailure === 'unsafe-continue-unrecorded' && reason !== 'closed') return Promise.resolve(UNRECORDED);
    return Promise.reject(new LedgerUnavailable(reason));
  }

  /** Gives the entry its place and time and queues it. */
  #record(facts: EntryFacts, own = false): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      let now = Math.floor(this.#clock.now());
      if (now < this.#tip.time) {
        const back = this.#tip.time - now;
        if (back <= CLOCK_TOLERANCE_MS) now = this.#tip.time;
        else this.#enqueue(this.#systemFacts('ledger.clock', { back }), now, true, ignore, ignore);
      }
      this.#enqueue(facts, now, own, resolve, reject);
    });
  }

  #enqueue(facts: EntryFacts, now: number, own: boolean, resolve: Pending['resolve'], reject: Pending['reject']): void {
    const seq = this.#tip.seq + 1;
    const { head, tail } = serialiseEntry(facts, seq, this.#time(now), this.#tip.hash);
    const hash = leafHash(head + tail);
    const tip = { seq, hash, time: now };
    this.#tip = tip;
    this.#pending.push({ line: `${head},"hash":"${hash}"${tail}\n`, tip, own, resolve, reject });
    this.#writing ??= this.#write();
  }

  #time(now: number): string {
    if (this.#timeText.at !== now) this.#timeText = { at: now, text: new Date(now).toISOString() };
    return this.#timeText.text;
  }

  /** Writes groups back to back until nothing waits: entries that come in during one sync share the next. */
  async #write(): Promise<void> {
    // The rest of this turn's appends join the first group.
    await new Promise((resolve) => setImmediate(resolve));
    let group: Pending[] = [];
    try {
      while (this.#pending.length > 0) {
        if (this.#segment.length >= this.#segmentBytes && (this.#durable.seq + 1) % SEGMENT_UNIT === 0) await this.#rotate();
        const taken = this.#takeGroup();
        group = taken.group;
        await this.#file.write(this.#buffer, taken.length, this.#segment.length);
        await this.#file.sync();
        this.#segment.length += taken.length;
        this.#acknowledge(group);
        group = [];
      }
    } catch (error) {
      this.#fail(reasonOf(error), group);
    } finally {
      this.#writing = null;
    }
  }

  /** Moves what is written next into the buffer: up to a write's size, and to the end of a tile where the segment is full. */
  #takeGroup(): { group: Pending[]; length: number } {
    const untilUnit = SEGMENT_UNIT - ((this.#durable.seq + 1) % SEGMENT_UNIT);
    const limit = this.#segment.length >= this.#segmentBytes ? Math.min(untilUnit, this.#pending.length) : this.#pending.length;
    let length = 0;
    let count = 0;
    for (const { line } of this.#pending) {
      if (count === limit || length >= WRITE_BYTES) break;
      length += this.#buffer.write(line, length, 'utf8');
      count++;
    }
    return { group: this.#pending.splice(0, count), length };
  }

  #acknowledge(group: readonly Pending[]): void {
    for (const { tip, resolve } of group) {
      this.#publisher.add(tip.hash);
      this.#durable = tip;
      resolve({ seq: tip.seq, hash: tip.hash });
    }
    this.#sealTimer ??= setTimeout(() => {
      this.#sealTimer = null;
      void this.#seal();
    }, this.#options.checkpointInterval ?? 1000).unref();
  }

  async #seal(): Promise<void> {
    await this.#publisher.seal(false);
    if (this.#closed) return;
    if (this.#publisher.trouble !== null)
      this.#sealTimer ??= setTimeout(() => void this.#sealAgain(), this.#options.retryInterval ?? 500).unref();
  }

  #sealAgain(): Promise<void> {
    this.#sealTimer = null;
    return this.#seal();
  }

  /** Goes on in a new segment. The closed one gets a checkpoint of its own and is compressed. */
  async #rotate(): Promise<void> {
    const first = this.#durable.seq + 1;
    const path = segmentPath(this.#log, first);
    const next = await this.#store.open(path, true);
    const closed = this.#file;
    this.#file = next;
    this.#segment = { first, path, length: 0 };
    await closed.close();
    this.#compressing = Promise.all([this.#compressing, this.#publisher.seal(true)]).then(() => this.#compressClosed());
  }

  /** What fails is tried again with the next rotation or opening. */
  async #compressClosed(): Promise<void> {
    try {
      for (const segment of await listSegments(this.#log)) {
        if (segment.first < this.#segment.first) await compressSegment(segment);
      }
      this.#housekeeping = null;
    } catch (error) {
      this.#housekeeping = error;
    }
  }

  /** Takes back what was accepted and is not durable. */
  #fail(reason: FailureReason, group: readonly Pending[]): void {
    const lost = [...group, ...this.#pending];
    this.#pending = [];
    this.#tip = this.#durable;
    this.#accepting = false;
    this.#trouble ??= { reason, since: this.#clock.now(), refused: 0 };
    for (const { own } of lost) if (!own) this.#trouble.refused++;
    const resolves = this.#options.onFailure === 'unsafe-continue-unrecorded';
    for (const { resolve, reject } of lost) {
      if (resolves) resolve(UNRECORDED);
      else reject(new LedgerUnavailable(reason));
    }
    this.#scheduleRetry();
  }

  #scheduleRetry(): void {
    if (this.#closed || this.#trouble?.reason === 'lock-lost') return;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = null;
      void this.retry();
    }, this.#options.retryInterval ?? 500).unref();
  }

  /** Opens the file again and records the gap. Where that fails, the log stays closed to entries until the next attempt. */
  async #recover(): Promise<void> {
    const trouble = this.#trouble;
    if (trouble === null || this.#closed || trouble.reason === 'lock-lost') return;
    const { reason, refused, since } = trouble;
    try {
      // A group may have been under way when the failure was noticed elsewhere; what became durable counts.
      await this.#writing;
      this.#tip = this.#durable;
      await this.#reopen();
      this.#accepting = true;
      const facts = this.#systemFacts('ledger.recovered', { reason, refused, since: new Date(since).toISOString() });
      if ((await this.#record(facts, true)) !== UNRECORDED) this.#trouble = null;
    } catch (error) {
      if (!(error instanceof LedgerUnavailable) && !isSystemError(error)) throw error;
    }
    this.#accepting = this.#trouble === null && !this.#closed;
    if (!this.#accepting) this.#scheduleRetry();
  }

  /** After a failed sync nothing is known of the bytes past the last durable one: they are cut and written anew. */
  async #reopen(): Promise<void> {
    const file = await this.#store.open(this.#segment.path, false);
    try {
      const length = await file.length();
      if (length === null || length < this.#segment.length) throw new LedgerUnavailable('log-removed');
      await file.truncate(this.#segment.length);
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    const old = this.#file;
    this.#file = file;
    await old.close();
  }

  async #refreshLock(): Promise<void> {
    try {
      const held = await this.#lock.refresh();
      if (this.#closed) return;
      if (!held) this.#fail('lock-lost', []);
      else if (this.#accepting && (await this.#file.length()) === null && !this.#closed) this.#fail('log-removed', []);
    } catch (error) {
      if (!this.#closed && this.#accepting) this.#fail(reasonOf(error), []);
    }
  }

  #systemFacts(action: string, detail: EntryFacts['detail']): EntryFacts {
    return {
      id: Buffer.from(this.#options.random.bytes(16)).toString('hex'),
      kind: 'system',
      principal: null,
      source: null,
      action,
      resource: this.#options.writer,
      decision: null,
      model: null,
      usage: null,
      latency: null,
      verdicts: [],
      outcome: 'done',
      fault: null,
      digest: { prompt: null, reply: null },
      detail,
    };
  }
}

function ignore(): void {}

function onlyUnavailable(error: unknown): void {
  if (!(error instanceof LedgerUnavailable)) throw error;
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

const REASONS: ReadonlyMap<string, FailureReason> = new Map([
  ['ENOSPC', 'disk-full'],
  ['EDQUOT', 'disk-full'],
  ['EFBIG', 'disk-full'],
  ['EROFS', 'read-only'],
  ['EACCES', 'permission'],
  ['EPERM', 'permission'],
  ['ENOENT', 'log-removed'],
]);

function reasonOf(error: unknown): FailureReason {
  if (error instanceof LedgerUnavailable) return error.reason;
  for (const [code, reason] of REASONS) if (isCode(error, code)) return reason;
  return 'io';
}
