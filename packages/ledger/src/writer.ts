import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, EntryFacts } from '@sallyport/core';
import type { Checkpoint } from './checkpoint.ts';
import { ClosedSegments } from './closed-segments.ts';
import type { EntryTexts, Receipt } from './entry.ts';
import { type Accepted, type Caller, EntryQueue, type Group, type Pending } from './entry-queue.ts';
import { type FailureReason, isSystemError, LedgerUnavailable, reasonOf } from './failure.ts';
import { type Gap, gapPath, joinGaps } from './gap.ts';
import { GapMark } from './gap-mark.ts';
import { type Digester, type Ledger, type LedgerHealth, type LedgerOptions, type OpenExchange, UNRECORDED } from './ledger.ts';
import type { LogLock } from './lock.ts';
import { LockWatch } from './lock-watch.ts';
import { openExchange } from './open-exchange.ts';
import { OpenSegment, roomOf, segmentBytesOf } from './open-segment.ts';
import { Publisher } from './publisher.ts';
import { type RecoveredLog, SEGMENT_UNIT, type Tip } from './recovery.ts';
import type { ExpiredSegment, Retention } from './retention.ts';
import { segmentPath } from './segment.ts';
import type { SegmentStore } from './segment-store.ts';
import { serialiseEntry } from './serialise.ts';
import { systemFacts } from './system-entry.ts';
import { type KnownTime, TrustedClock } from './trusted-clock.ts';

interface Trouble extends Gap {
  refused: number;
}

/** A clock that steps back by no more than this is held still instead: time synchronisation, not an event. */
const CLOCK_TOLERANCE_MS = 1000;
/** Least time between two groups while several callers append at once, and while so many do that the last group was large; milliseconds. */
const GROUP_INTERVAL = 1;
const LARGE_GROUP_INTERVAL = 2;
const LARGE_GROUP = 8;
/** Entries that make a group worth writing at once, and those that are spelled without others getting a turn. */
const GROUP_ENOUGH = 64;

/** A `Ledger` over the files of one log, which it alone writes. */
export class LogWriter implements Ledger {
  readonly origin: string;
  readonly #log: string;
  readonly #options: LedgerOptions;
  readonly #clock: Clock;
  readonly #lock: LockWatch;
  readonly #store: SegmentStore;
  readonly #publisher: Publisher;
  readonly #segmentBytes: number;
  readonly #maxPending: number;
  readonly #closedSegments: ClosedSegments;
  readonly #mark: GapMark;
  /** The gap that an earlier process left open, until it is on record. */
  #left: Gap | null = null;
  /** Resolves when it is marked that there is a gap: nothing goes on unrecorded before. */
  #marked: Promise<void> = Promise.resolve();
  readonly #queue: EntryQueue = new EntryQueue();
  #segment: OpenSegment;
  /** The last entry spelled; what the next one follows. */
  #tip: Tip;
  /** The last entry that is durable. */
  #durable: Tip;
  #writing: Promise<void> | null = null;
  /** When the last group was taken, monotonic milliseconds. */
  #groupAt = Number.NEGATIVE_INFINITY;
  #groupSize = 0;
  readonly #trustedClock: TrustedClock;
  #accepting = true;
  #closed = false;
  #closing: Promise<void> | null = null;
  #trouble: Trouble | null = null;
  #overloads = 0;
  #sealTimer: NodeJS.Timeout | null = null;
  #retrying: Promise<void> | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #lockTimer: NodeJS.Timeout | null = null;
  /** `time` of the last entry as text: most entries share their millisecond with one before. */
  #timeText = { at: -1, text: '' };

  /** `newest` is the time of the newest entry, for a new log what the others know of it. */
  constructor(
    log: string,
    options: LedgerOptions,
    lock: LogLock,
    store: SegmentStore,
    segment: OpenSegment,
    recovered: RecoveredLog,
    newest: KnownTime,
  ) {
    this.origin = recovered.description.origin;
    this.#log = log;
    this.#options = options;
    this.#clock = options.clock;
    this.#lock = new LockWatch(lock, options.clock);
    this.#closedSegments = new ClosedSegments(log);
    const { gapDirectory, writer } = options;
    this.#mark = new GapMark([gapPath(log), ...(gapDirectory === undefined ? [] : [join(gapDirectory, writer)])]);
    this.#store = store;
    this.#segment = segment;
    this.#tip = recovered.tip;
    this.#durable = recovered.tip;
    this.#trustedClock = new TrustedClock(log, options.clock, newest, options.knownTime ?? null);
    this.#segmentBytes = segmentBytesOf(options);
    this.#maxPending = options.maxPending ?? 100_000;
    this.#publisher = new Publisher(log, this.origin, options.signer, options.clock, recovered.edge, recovered.published);
    for (const tile of recovered.tiles) this.#publisher.fill(tile);
  }

  /** Cuts an unfinished write, makes the rest durable, and records the opening. */
  async start(recovered: RecoveredLog): Promise<void> {
    try {
      await this.#lock.expectOurs();
      await this.#segment.cut();
      await this.#trustedClock.begin();
    } catch (error) {
      await this.#segment.close();
      throw new LedgerUnavailable(reasonOf(error), { cause: error });
    }
    // Before anything can fail here: its own mark would be written over this one.
    this.#left = await this.#mark.prepare();
    this.#lockTimer = setInterval(() => void this.#refreshLock(), 1000).unref();
    const [ed25519, mlDsa44] = this.#options.signer.verifierKeys(this.origin);
    const facts = systemFacts(this.#options, 'ledger.open', {
      generation: this.#lock.generation,
      key: ed25519?.split('+')[1] ?? null,
      quantumSafeKey: mlDsa44?.split('+')[1] ?? null,
      torn: recovered.torn,
      unsealed: recovered.unsealed,
    });
    try {
      await this.#record(facts, true);
      if (this.#left !== null && (await this.#recordLeft())) void this.#markGap();
    } catch (error) {
      await this.close();
      throw error;
    }
    await this.#publisher.seal(false);
    this.#closedSegments.compress(this.#segment.first);
  }

  append(facts: EntryFacts, texts: EntryTexts | null = null): Promise<Receipt> {
    if (!this.#accepting) return this.#refuse(this.#closed ? 'closed' : (this.#trouble?.reason ?? 'io'));
    if (this.#queue.length >= this.#maxPending) {
      this.#overloads++;
      return this.#refuse('overloaded');
    }
    return this.#record(facts, false, texts);
  }

  open(facts: EntryFacts): Promise<OpenExchange> {
    return openExchange(this, facts);
  }

  async retain(asked: number, checked: readonly ExpiredSegment[] = []): Promise<Retention> {
    const clockAhead = await this.#trustedClock.ahead(asked);
    const before = asked - clockAhead;
    return this.#closedSegments.remove(before, clockAhead === 0 ? checked : [], async (expired) => {
      if (!this.#accepting) throw new LedgerUnavailable(this.#closed ? 'closed' : (this.#trouble?.reason ?? 'io'));
      const from = expired[0]?.segment.first ?? 0;
      const until = expired.at(-1)?.until ?? 0;
      if (expired.length > 0) {
        const facts = systemFacts(this.#options, 'ledger.retention', { from, until, before: new Date(before).toISOString() });
        const receipt = await this.#record(facts, true);
        if (receipt === UNRECORDED) throw new LedgerUnavailable(this.#trouble?.reason ?? 'io');
        await this.#sealOver(receipt.seq);
      }
      return { segments: expired.length, from, until, clockAhead };
    });
  }

  digest(text: string | Uint8Array): string {
    return createHmac('sha256', this.#options.digestKey).update(text).digest('hex');
  }

  startDigest(): Digester {
    const hmac = createHmac('sha256', this.#options.digestKey);
    return { update: (text) => void hmac.update(text), hex: () => hmac.digest('hex') };
  }

  failing(): boolean {
    return !this.#accepting && !this.#goesOn(this.#closed ? 'closed' : (this.#trouble?.reason ?? 'io'));
  }

  health(): LedgerHealth {
    const { published, publishedAt, size } = this.#publisher;
    const sealing = this.#publisher.trouble ?? this.#closedSegments.trouble;
    const closed = this.#closed ? ({ reason: 'closed', since: null, refused: 0 } as const) : null;
    const trouble = this.#trouble ?? closed;
    return {
      state: trouble === null ? 'ok' : 'failing',
      reason: trouble?.reason ?? null,
      since: trouble?.since ?? null,
      refused: (trouble?.refused ?? 0) + this.#overloads,
      entries: this.#durable.seq + 1,
      pending: this.#queue.length,
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

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // A gap that is still open would be on record nowhere.
    await this.#retrying;
    if (this.#trouble !== null) await this.retry();
    const wasOpen = this.#accepting;
    this.#accepting = false;
    this.#closed = true;
    for (const timer of [this.#sealTimer, this.#retryTimer, this.#lockTimer]) if (timer !== null) clearTimeout(timer);
    // Asked anew: who has lost the log since the last look must not write over the entries of its new owner.
    const isOurs = await this.#lock.isOurs().catch(() => false);
    try {
      // A failure to say goodbye is visible as a log whose last entry is not `ledger.close`.
      if (wasOpen && isOurs) await this.#record(systemFacts(this.#options, 'ledger.close', {}), true).catch(onlyUnavailable);
      await this.#retrying;
      await this.#writing;
      if (isOurs) await this.#publisher.seal(false);
      await this.#closedSegments.settled();
      await this.#mark.settled();
    } finally {
      await this.#segment.close(isOurs);
      await this.#lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #refuse(reason: FailureReason): Promise<Receipt> {
    // While the gap is being recorded only what is too much is refused, as at any other time.
    if (this.#trouble !== null && !this.#accepting) this.#trouble.refused++;
    if (this.#goesOn(reason)) return this.#marked.then(() => UNRECORDED);
    return Promise.reject(new LedgerUnavailable(reason));
  }

  /** Whether acts go on unrecorded. Not where the log is another's or closed: nothing would ever tell of that gap. */
  #goesOn(reason: FailureReason): boolean {
    return this.#options.onFailure === 'unsafe-continue-unrecorded' && reason !== 'closed' && reason !== 'lock-lost';
  }

  #record(facts: EntryFacts, own = false, texts: EntryTexts | null = null): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const time = Math.floor(this.#clock.now());
      if (this.#queue.accept({ facts, texts, time, caller: { own, resolve, reject } }) >= GROUP_ENOUGH) this.#spell();
      this.#writing ??= this.#write();
    });
  }

  /** Gives the accepted entries their places. */
  #spell(): void {
    for (const entry of this.#queue.takeAccepted()) {
      try {
        const back = this.#tip.time - entry.time;
        if (back > CLOCK_TOLERANCE_MS) {
          const facts = systemFacts(this.#options, 'ledger.clock', { back });
          this.#add({ facts, texts: null, time: entry.time, caller: NOBODY }, entry.time);
        }
        this.#add(entry, back > 0 && back <= CLOCK_TOLERANCE_MS ? this.#tip.time : entry.time);
      } catch (error) {
        // What cannot be spelled is its caller's fault alone.
        entry.caller.reject(error);
      }
    }
  }

  #add({ facts, texts, caller }: Accepted, time: number): void {
    const seq = this.#tip.seq + 1;
    const line = serialiseEntry(facts, seq, this.#time(time), this.#tip.hash, texts === null ? facts.digest : this.#digests(facts, texts));
    this.#tip = this.#queue.add(line, seq, time, caller);
  }

  #digests({ digest: { prompt, reply } }: EntryFacts, texts: EntryTexts): EntryFacts['digest'] {
    return {
      prompt: texts.prompt === null ? prompt : this.digest(texts.prompt),
      reply: texts.reply === null ? reply : this.digest(texts.reply),
    };
  }

  #time(now: number): string {
    if (this.#timeText.at !== now) this.#timeText = { at: now, text: new Date(now).toISOString() };
    return this.#timeText.text;
  }

  /** Writes groups back to back until nothing waits: entries that come in during one sync share the next. */
  async #write(): Promise<void> {
    // The rest of this turn's appends join the first group.
    await new Promise((resolve) => setImmediate(resolve));
    let group: Group | null = null;
    try {
      while (this.#queue.length > 0) {
        if (this.#segment.length >= this.#segmentBytes && (this.#durable.seq + 1) % SEGMENT_UNIT === 0) await this.#rotate();
        await this.#gather();
        await this.#lock.expectOurs();
        this.#spell();
        group = this.#queue.take(
          this.#segment.length >= this.#segmentBytes ? SEGMENT_UNIT - ((this.#durable.seq + 1) % SEGMENT_UNIT) : Infinity,
        );
        const { entries, bytes } = group;
        this.#groupSize = entries.length;
        await this.#segment.append(bytes, bytes.length);
        this.#acknowledge(entries);
        this.#queue.release(group);
        group = null;
        if (this.#segment.wantsRoom(bytes.length)) {
          await this.#lock.expectOurs();
          await this.#segment.makeRoom();
        }
      }
    } catch (error) {
      this.#fail(reasonOf(error), group?.entries);
    } finally {
      this.#writing = null;
    }
  }

  /**
   * A write costs the event loop more than an entry does. While several callers append at once (the last group had company), a group
   * waits until the interval has passed; a single caller, and any that comes later than that, waits for nothing.
   */
  async #gather(): Promise<void> {
    const interval = this.#groupSize < LARGE_GROUP ? GROUP_INTERVAL : LARGE_GROUP_INTERVAL;
    const wait = this.#groupAt + interval - this.#clock.monotonic();
    if (this.#groupSize > 1 && wait > 0 && this.#queue.length < GROUP_ENOUGH) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#groupAt = this.#clock.monotonic();
  }

  #acknowledge(group: readonly Pending[]): void {
    for (const { tip, caller } of group) {
      this.#publisher.add(tip.hash);
      this.#durable = tip;
      caller.resolve({ seq: tip.seq, hash: tip.hash });
    }
    this.#sealTimer ??= setTimeout(() => {
      this.#sealTimer = null;
      void this.#seal();
    }, this.#options.checkpointInterval ?? 1000).unref();
  }

  /** Resolves once a signed checkpoint covers entry `seq`. @throws {LedgerUnavailable} */
  async #sealOver(seq: number): Promise<void> {
    while ((this.#publisher.published?.size ?? 0) <= seq) {
      await this.#publisher.seal(false);
      if (this.#publisher.trouble !== null) throw new LedgerUnavailable(reasonOf(this.#publisher.trouble));
    }
  }

  async #seal(): Promise<void> {
    // Whoever has the log now has signed more of it.
    if (this.#trouble?.reason === 'lock-lost') return;
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
    const closed = this.#segment;
    const place = { first, path: segmentPath(this.#log, first), length: 0 };
    this.#segment = await OpenSegment.open(this.#store, place, true, roomOf(this.#options));
    // What is left of its room is not compressed with it, and gone then.
    await closed.close(false);
    this.#closedSegments.compress(first, this.#publisher.seal(true));
  }

  /** Takes back what was accepted and is not durable. */
  #fail(reason: FailureReason, group: readonly Pending[] = []): void {
    const lost = [...group.map(({ caller }) => caller), ...this.#queue.clear()];
    this.#tip = this.#durable;
    this.#accepting = false;
    const isNew = this.#trouble === null;
    this.#trouble ??= { reason, since: this.#clock.now(), refused: 0 };
    // Of a disk that refuses the log recovers, of this never.
    if (reason === 'lock-lost' && this.#trouble.reason !== reason) this.#trouble = { ...this.#trouble, reason };
    const resolves = this.#goesOn(this.#trouble.reason);
    this.#trouble.refused += lost.filter(({ own }) => !own).length;
    // Another process's log is no longer ours to mark.
    const marked = this.#trouble.reason === 'lock-lost' ? Promise.resolve() : this.#markGap();
    if (isNew) this.#marked = marked;
    for (const caller of lost) {
      if (resolves) void this.#marked.then(() => caller.resolve(UNRECORDED));
      else caller.reject(new LedgerUnavailable(reason));
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
    try {
      // A group may have been under way when the failure was noticed elsewhere; what became durable counts.
      await this.#writing;
      this.#tip = this.#durable;
      await this.#reopen();
      if (await this.#recordLeft()) {
        // From here on nothing is refused, so that the entry tells the whole number.
        this.#accepting = true;
        if ((await this.#recordGap(trouble)) && this.#accepting && this.#trouble === trouble) this.#trouble = null;
      }
    } catch (error) {
      if (!(error instanceof LedgerUnavailable) && !isSystemError(error)) throw error;
    }
    this.#accepting = this.#trouble === null && !this.#closed;
    // Not waited for where the gap is over: what fails from here on is marked after it.
    const marked = this.#trouble?.reason === 'lock-lost' ? null : this.#markGap();
    if (!this.#accepting) await marked;
    if (!this.#accepting) this.#scheduleRetry();
  }

  /** Whether nothing is left of an earlier process that is not on record. Such a gap was still open when that process ended. */
  async #recordLeft(): Promise<boolean> {
    if (this.#left !== null && (await this.#recordGap(this.#left, { ended: false }))) this.#left = null;
    return this.#left === null;
  }

  /** Answers whether the gap is on record now. */
  async #recordGap({ reason, refused, since }: Gap, more: EntryFacts['detail'] = {}): Promise<boolean> {
    const facts = systemFacts(this.#options, 'ledger.recovered', { reason, refused, since: new Date(since).toISOString(), ...more });
    return (await this.#record(facts, true)) !== UNRECORDED;
  }

  /** Says on the disk which gaps are not on record. */
  #markGap(): Promise<void> {
    return this.#mark.set(joinGaps(this.#left, this.#trouble));
  }

  /** After a failed sync nothing is known of the bytes past the last durable one: they are cut and written anew. */
  async #reopen(): Promise<void> {
    const segment = await OpenSegment.open(this.#store, this.#segment, false, roomOf(this.#options));
    try {
      const length = await segment.fileLength();
      if (length === null || length < segment.length) throw new LedgerUnavailable('log-removed');
      await this.#lock.expectOurs();
      await segment.cut();
    } catch (error) {
      await segment.close();
      throw error;
    }
    const old = this.#segment;
    this.#segment = segment;
    await old.close();
  }

  async #refreshLock(): Promise<void> {
    try {
      const held = await this.#lock.isOurs();
      if (this.#closed) return;
      if (!held) this.#fail('lock-lost');
      else if (this.#accepting && (await this.#segment.fileLength()) === null && !this.#closed) this.#fail('log-removed');
    } catch (error) {
      if (!this.#closed && this.#accepting) this.#fail(reasonOf(error));
    }
  }
}

/** Of an entry that nobody asked for. */
const NOBODY: Caller = { own: true, resolve: () => {}, reject: () => {} };

function onlyUnavailable(error: unknown): void {
  if (!(error instanceof LedgerUnavailable)) throw error;
}
