import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, ExporterSettings, Logger } from '@sallyport/core';
import { sealedSizes } from '@sallyport/ledger';
import { BatchRefused, DeliveryFailed, type Destination } from './destination/destination.ts';
import { type ExportEvent, isSound, type SoundEvent } from './event.ts';
import { type Batch, Spool } from './spool.ts';
import { type DeadLetter, ExporterFiles, type ExporterState, type Failure } from './state.ts';

export interface ExporterStatus {
  readonly name: string;
  readonly kind: ExporterSettings['kind'];
  /** Sealed entries that were not delivered yet. */
  readonly lag: number;
  /** How long the oldest of them has waited, in milliseconds; 0 where none does. */
  readonly lagMilliseconds: number;
  readonly delivered: number;
  readonly dead: number;
  readonly failure: Failure | null;
  /** Epoch milliseconds. */
  readonly deliveredAt: number | null;
}

export interface ExporterOptions {
  readonly settings: ExporterSettings;
  /** The ledger's directory. */
  readonly directory: string;
  /** Makes the destination. Called again after a failure, so that replaced secrets and certificates are taken up. */
  readonly connect: () => Destination;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two looks for new entries. */
  readonly poll?: number;
  /** Milliseconds before the second attempt, and at most between two. */
  readonly backoff?: { readonly first: number; readonly most: number };
}

/** Milliseconds that an attempt under way has when the exporter is told to stop. */
const STOP_GRACE = 1500;

/** Attempts that were made at least for what a crash may have kept us from hearing of, and for dead letters: the receiver may have it. */
const SENT_BEFORE = 1;

/** Longest time a receiver can ask us to stay away. */
const MOST_RETRY_AFTER = 600_000;

/** Delivers the ledger's entries to one destination: in order, each at least once. */
export class Exporter {
  readonly #options: ExporterOptions;
  readonly #files: ExporterFiles;
  #destination: Destination | null = null;
  #state: ExporterState | null = null;
  /** What goes wrong before the state is known: the cursor cannot be read. */
  #trouble: Failure | null = null;
  /** Whether `#state` is newer than its file. */
  #unsaved = false;
  #lag = 0;
  /** Epoch milliseconds of the oldest entry that waits, null where none does. */
  #oldest: number | null = null;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#files = new ExporterFiles(options.directory, options.settings.name);
  }

  status(): ExporterStatus {
    const { name, kind } = this.#options.settings;
    const { delivered = 0, dead = 0, deliveredAt = null } = this.#state ?? {};
    const failure = this.#trouble ?? this.#state?.failure ?? null;
    // Without a cursor nobody knows what waits: since then, at least.
    const since = this.#oldest ?? this.#trouble?.since ?? null;
    const lagMilliseconds = since === null ? 0 : Math.max(0, this.#options.clock.now() - since);
    return { name, kind, lag: this.#lag, lagMilliseconds, delivered, dead, failure, deliveredAt };
  }

  /** Runs until the signal is aborted. What goes wrong on the way is tried again; it is in `status`. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#export(signal, () => {
          attempt = 1;
        });
      } catch (error) {
        if (signal.aborted) break;
        // The ledger or the cursor cannot be read or written.
        this.#note(error instanceof Error ? error.message : String(error), attempt);
        await this.#pause(attempt, null, signal);
      }
    }
    await this.#disconnect();
  }

  async #export(signal: AbortSignal, progress: () => void): Promise<void> {
    const state = (await this.#files.load()) ?? (await this.#begin());
    this.#state = state;
    this.#trouble = null;
    await using spool = new Spool(this.#options.directory, state.next);
    if (state.sending !== null) await this.#send(await spool.takeUntil(state.sending), signal, SENT_BEFORE);
    for (let waiting: number | null = null; !signal.aborted; ) {
      await this.#replay(signal);
      await spool.refresh();
      this.#lag = spool.lag;
      const { batch: limits } = this.#options.settings;
      const now = this.#options.clock.monotonic();
      if (this.#lag > 0) waiting ??= now;
      if (waiting === null || (this.#lag < limits.events && now < waiting + limits.wait)) {
        if (waiting === null) this.#oldest = null;
        if (this.#unsaved) await this.#save({});
        await sleep(this.#options.poll ?? 500, signal);
        continue;
      }
      waiting = null;
      const batch = await spool.take(limits.events, limits.bytes);
      // Logs whose checkpoints promise more than can be read: nothing of theirs is passed over.
      if (batch.events.length === 0 && batch.gone.length === 0) await sleep(this.#options.poll ?? 500, signal);
      else await this.#sendNew(batch, signal);
      progress();
    }
    if (this.#unsaved) await this.#save({});
  }

  /** Where a new exporter starts. */
  async #begin(): Promise<ExporterState> {
    if (this.#options.settings.start === 'oldest') return this.#files.start({});
    return this.#files.start(Object.fromEntries(await sealedSizes(this.#options.directory)));
  }

  async #sendNew(batch: Batch, signal: AbortSignal): Promise<void> {
    await this.#save({ sending: batch.next });
    await this.#send(batch, signal);
  }

  async #send({ events, next, gone }: Batch, signal: AbortSignal, before: number = 0): Promise<void> {
    const oldest = events.find(isSound);
    this.#oldest = oldest === undefined ? null : Date.parse(oldest.entry.time);
    const letters: DeadLetter[] = gone.map((range) => this.#letter(range, 'removed by retention before it was delivered'));
    const { maxAge } = this.#options.settings;
    const bound = maxAge === null ? '' : new Date(this.#options.clock.now() - maxAge).toISOString();
    const wanted: SoundEvent[] = [];
    for (const event of events) {
      if (!isSound(event)) letters.push(this.#letter(event, 'the line is no entry: run sallyport audit verify'));
      else if (event.entry.time < bound) letters.push(this.#letter(event, 'older than maxAge'));
      else wanted.push(event);
    }
    await this.#bury(letters);
    await this.#deliver(wanted, signal, before);
    this.#change({ next, sending: null, failure: null });
    this.#lag = Math.max(0, this.#lag - events.length);
  }

  /**
   * Returns when each event was taken or is among the dead letters. Throws where the signal is aborted, or the disk fails. `before` is how
   * many attempts were made for these events earlier.
   */
  async #deliver(events: readonly SoundEvent[], signal: AbortSignal, before: number): Promise<void> {
    let waiting = events;
    for (let attempt = 1; waiting.length > 0; attempt++) {
      signal.throwIfAborted();
      try {
        const { refused, again, retryAfter } = await this.#attempt(waiting, before + attempt, signal);
        const sent = waiting;
        await this.#bury(refused.flatMap(({ index, reason }) => (sent[index] === undefined ? [] : [this.#letter(sent[index], reason)])));
        waiting = again.flatMap((index) => sent[index] ?? []);
        this.#count(sent.length - refused.length - waiting.length);
        if (waiting.length === 0) return;
        if (waiting.length < sent.length) attempt = 1;
        this.#note('the receiver put off part of the batch', attempt);
        await this.#pause(attempt, retryAfter, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof BatchRefused) {
          const half = Math.ceil(waiting.length / 2);
          const only = waiting.length === 1 ? waiting[0] : undefined;
          if (only !== undefined) return await this.#bury([this.#letter(only, error.message)]);
          // None of them is with the receiver by this attempt, but perhaps by one whose answer was lost.
          const made = before + attempt - 1;
          await this.#deliver(waiting.slice(0, half), signal, made);
          return await this.#deliver(waiting.slice(half), signal, made);
        }
        this.#note(reasonOf(error), attempt);
        await this.#disconnect();
        await this.#save({});
        await this.#pause(attempt, error instanceof DeliveryFailed ? error.retryAfter : null, signal);
      }
    }
  }

  async #attempt(events: readonly SoundEvent[], number: number, signal: AbortSignal): Promise<ReturnType<Destination['deliver']>> {
    this.#destination ??= this.#options.connect();
    // Who is told to stop still hears whether the receiver took what it has: else that would be sent again.
    const limit = new AbortController();
    const abort = (): void => limit.abort(new DeliveryFailed('no answer in time'));
    const timers = [setTimeout(abort, this.#options.settings.timeout)];
    const stopping = (): void => void timers.push(setTimeout(abort, STOP_GRACE));
    if (signal.aborted) stopping();
    signal.addEventListener('abort', stopping);
    try {
      return await this.#destination.deliver(events, { number, signal: limit.signal });
    } finally {
      signal.removeEventListener('abort', stopping);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  async #disconnect(): Promise<void> {
    const destination = this.#destination;
    this.#destination = null;
    await destination?.[Symbol.asyncDispose]();
  }

  /** Sends the dead letters that somebody handed over to be sent again. */
  async #replay(signal: AbortSignal): Promise<void> {
    const letters = await this.#files.replaying();
    if (letters.length === 0) return;
    const { batch: limits } = this.#options.settings;
    for (const { log, from, until } of letters) {
      await using spool = new Spool(this.#options.directory, { [log]: from });
      for (let at = from; at < until; ) {
        const { events, gone, next } = await spool.takeUntil({ [log]: Math.min(until, at + limits.events) });
        // What was removed may reach beyond what is to be sent again.
        const removed = gone.map((range) => ({ ...range, until: Math.min(until, range.until) }));
        await this.#bury(removed.map((range) => this.#letter(range, 'not in the ledger any more')));
        await this.#bury(events.filter((event) => !isSound(event)).map((event) => this.#letter(event, 'the line is no entry')));
        await this.#deliver(events.filter(isSound), signal, SENT_BEFORE);
        const reached = next[log] ?? at;
        if (reached === at) await this.#bury([this.#letter({ log, from: at, until }, 'not to be read')]);
        at = reached === at ? until : reached;
      }
    }
    await this.#files.replayed();
    await this.#save({ failure: null });
    this.#options.logger.info('exporter.replayed', { exporter: this.#options.settings.name, ranges: letters.length });
  }

  #letter(where: { readonly log: string; readonly from: number; readonly until: number } | ExportEvent, reason: string): DeadLetter {
    const { log } = where;
    const [from, until] = 'seq' in where ? [where.seq, where.seq + 1] : [where.from, where.until];
    return { at: new Date(this.#options.clock.now()).toISOString(), log, from, until, reason };
  }

  async #bury(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    const joined = joinRanges(letters);
    await this.#files.bury(joined);
    const count = letters.reduce((sum, { from, until }) => sum + until - from, 0);
    if (this.#state !== null) this.#state = { ...this.#state, dead: this.#state.dead + count };
    this.#options.logger.warn('exporter.dead-letters', {
      exporter: this.#options.settings.name,
      entries: count,
      reason: joined[0]?.reason ?? '',
    });
  }

  #count(delivered: number): void {
    if (this.#state === null || delivered === 0) return;
    this.#state = { ...this.#state, delivered: this.#state.delivered + delivered, deliveredAt: this.#options.clock.now() };
  }

  #note(reason: string, attempts: number): void {
    const known = this.#state?.failure ?? this.#trouble;
    // Said once, and again when the reason changes.
    if (known?.reason !== reason) this.#options.logger.warn('exporter.failing', { exporter: this.#options.settings.name, reason });
    const failure = { reason, since: known?.since ?? this.#options.clock.now(), attempts };
    if (this.#state === null) this.#trouble = failure;
    else this.#state = { ...this.#state, failure };
  }

  /** What is not saved yet is saved with the end of the next batch, or where there is none before the exporter waits or stops. */
  #change(change: Partial<ExporterState>): void {
    if (this.#state === null) return;
    if (change.failure === null && this.#state.failure !== null)
      this.#options.logger.info('exporter.recovered', { exporter: this.#options.settings.name });
    this.#state = { ...this.#state, ...change };
    this.#unsaved = true;
  }

  async #save(change: Partial<ExporterState>): Promise<void> {
    this.#change(change);
    if (this.#state === null) return;
    await this.#files.save(this.#state);
    this.#unsaved = false;
  }

  /** Exponential back-off, half of it at random, so that several exporters do not come back together (equal jitter). */
  async #pause(attempt: number, asked: number | null, signal: AbortSignal): Promise<void> {
    const { first, most } = this.#options.backoff ?? { first: 500, most: 60_000 };
    const wait = Math.min(most, first * 2 ** Math.min(attempt - 1, 30));
    await sleep(Math.max(wait / 2 + (Math.random() * wait) / 2, Math.min(asked ?? 0, MOST_RETRY_AFTER)), signal);
  }
}

/** Ranges that follow one another for the same reason, as one. */
function joinRanges(letters: readonly DeadLetter[]): DeadLetter[] {
  const joined: DeadLetter[] = [];
  for (const letter of letters) {
    const last = joined.at(-1);
    if (last !== undefined && last.log === letter.log && last.until === letter.from && last.reason === letter.reason)
      joined[joined.length - 1] = { ...last, until: letter.until };
    else joined.push(letter);
  }
  return joined;
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** A code of the system, or our own words: what a receiver says is not put into logs. */
function reasonOf(error: unknown): string {
  if (error instanceof DeliveryFailed) return error.message;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'unknown';
}
