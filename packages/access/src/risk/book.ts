import type { Clock, RiskSettings, RiskSignal } from '@sallyport/core';

/** What is done with a subject. `challenge` is for sessions only: another credential of the same principal is another session. */
export type RiskLevel = 'none' | 'throttle' | 'challenge' | 'block';

/** `principal:TENANT/ID`, `session:KIND:ID` or `address:NETWORK`. */
export type RiskSubject = `${'principal' | 'session' | 'address'}:${string}`;

/** Why a request of the subject is refused, and for how long, milliseconds. */
export interface RiskRefusal {
  readonly subject: RiskSubject;
  readonly level: Exclude<RiskLevel, 'none'>;
  readonly wait: number;
}

/** A subject as an operator sees it: what it did, what that amounts to now, and what is done. Times are epoch milliseconds. */
export interface RiskView {
  readonly subject: RiskSubject;
  readonly score: number;
  readonly level: RiskLevel;
  /** When a block ends, else null. */
  readonly until: number | null;
  readonly signals: readonly { readonly signal: RiskSignal; readonly count: number; readonly lastAt: number }[];
}

/** Told of every change of level; `reason` is what led to it. */
export type OnRisk = (view: RiskView, before: RiskLevel, reason: RiskSignal | 'decay') => void;

/** What one replica tells the others. */
export type RiskMessage =
  | { readonly kind: 'signal'; readonly subject: RiskSubject; readonly signal: RiskSignal; readonly times: number }
  | { readonly kind: 'reset'; readonly subject: RiskSubject };

/** Carries signals and resets between the replicas of an installation. Best effort: a message that is lost makes a score smaller, no more. */
export interface RiskRelay {
  send(message: RiskMessage): void;
}

interface Account {
  score: number;
  /** Epoch milliseconds as of which `score` counts. */
  at: number;
  readonly signals: Map<RiskSignal, { count: number; lastAt: number }>;
  /** The level that was told last. */
  level: RiskLevel;
  blockedUntil: number;
  /** When the next request is let through while throttled. */
  nextAt: number;
}

const RANK: Readonly<Record<RiskLevel, number>> = { none: 0, throttle: 1, challenge: 2, block: 3 };
/** A level that was reached holds until the score is this part of its threshold: it would come and go within a moment otherwise. */
const EASE = 0.8;
/** A score below this is nothing. */
const NOTHING = 0.5;
/**
 * What a request that ended well takes off: whoever sends much is not judged like one who sends nothing but attacks. With the points by
 * default one blocked text in a hundred requests, or one flagged in ten, leaves no score.
 */
const AMENDS = 0.2;
/** Subjects kept; beyond it nobody new is counted until old ones have decayed. */
const MAX_SUBJECTS = 50_000;
/** Of these, addresses: whoever has many must not leave no room for callers. */
const MAX_ADDRESSES = 25_000;
/** Milliseconds between two looks for what has decayed. */
const SWEEP_EVERY = 10_000;

/**
 * A score for each principal, session and address, of what the guard, the policy and the limits had to say of it. It halves every
 * `halfLife`; thresholds slow a subject, ask it for a fresh credential, or keep it out for a time. Everything is in memory and nothing is
 * taken from a request but who sent it. A request costs nothing while no subject has a score.
 */
export class RiskBook {
  readonly #clock: Clock;
  readonly #onRisk: OnRisk;
  readonly #relay: RiskRelay | null;
  readonly #accounts = new Map<RiskSubject, Account>();
  #settings: RiskSettings;
  #addresses = 0;
  #sweptAt = 0;

  constructor(settings: RiskSettings, options: { readonly clock: Clock; readonly onRisk: OnRisk; readonly relay?: RiskRelay }) {
    this.#settings = settings;
    this.#clock = options.clock;
    this.#onRisk = options.onRisk;
    this.#relay = options.relay ?? null;
  }

  /** Changed settings count from now on; scores stay. */
  configure(settings: RiskSettings): void {
    this.#settings = settings;
    if (!settings.enabled) for (const subject of this.#accounts.keys()) this.#delete(subject);
  }

  /** True while nobody has a score: nothing has to be checked. */
  get isEmpty(): boolean {
    return this.#accounts.size === 0;
  }

  /** Whether a request of the subject may go on; a throttled one that may has used its turn. */
  check(subject: RiskSubject): RiskRefusal | null {
    const account = this.#accounts.get(subject);
    if (account === undefined) return null;
    const now = this.#clock.now();
    const level = this.#levelOf(subject, account, now);
    if (level === 'none') return null;
    if (level === 'block') return { subject, level, wait: account.blockedUntil - now };
    if (level === 'challenge') return { subject, level, wait: this.#decaysIn(account, now, this.#settings.challengeAt * EASE) };
    if (now < account.nextAt) return { subject, level, wait: account.nextAt - now };
    account.nextAt = now + 60_000 / this.#settings.throttlePerMinute;
    return null;
  }

  /** The subject did something, so many times. Told to the other replicas. */
  report(subject: RiskSubject, signal: RiskSignal, times: number = 1): void {
    if (!this.#settings.enabled || this.#settings.points[signal] === 0) return;
    this.#count(subject, signal, times);
    this.#relay?.send({ kind: 'signal', subject, signal, times });
  }

  /** A request of the subject ended well. Ends no block before its time. */
  forgive(subject: RiskSubject): void {
    const account = this.#accounts.get(subject);
    if (account === undefined) return;
    const now = this.#clock.now();
    account.score = Math.max(0, this.#scoreOf(account, now) - AMENDS);
    account.at = now;
  }

  /** What another replica has told. */
  apply(message: RiskMessage): void {
    if (message.kind === 'reset') this.#forget(message.subject);
    else if (this.#settings.enabled) this.#count(message.subject, message.signal, message.times);
  }

  /** Forgets what a subject did and lifts what is done with it, here and on the other replicas. Null where nothing is known of it. */
  reset(subject: RiskSubject): RiskView | null {
    const view = this.#forget(subject);
    this.#relay?.send({ kind: 'reset', subject });
    return view;
  }

  /** Everybody with a score, the highest first. */
  list(): RiskView[] {
    this.sweep();
    return [...this.#accounts].map(([subject, account]) => this.#view(subject, account)).sort((a, b) => b.score - a.score);
  }

  show(subject: RiskSubject): RiskView | null {
    const account = this.#accounts.get(subject);
    return account === undefined ? null : this.#view(subject, account);
  }

  /** Tells of levels that have decayed and drops scores that are nothing any more. */
  sweep(): void {
    const now = this.#clock.now();
    this.#sweptAt = now;
    for (const [subject, account] of this.#accounts) {
      this.#announce(subject, account, 'decay');
      if (account.level === 'none' && this.#scoreOf(account, now) < NOTHING) this.#delete(subject);
    }
  }

  #count(subject: RiskSubject, signal: RiskSignal, times: number): void {
    const now = this.#clock.now();
    if (now - this.#sweptAt >= SWEEP_EVERY) this.sweep();
    let account = this.#accounts.get(subject);
    if (account === undefined) {
      const isFull = this.#accounts.size >= MAX_SUBJECTS || (isAddress(subject) && this.#addresses >= MAX_ADDRESSES);
      if (isFull) return;
      if (isAddress(subject)) this.#addresses += 1;
      account = { score: 0, at: now, signals: new Map(), level: 'none', blockedUntil: 0, nextAt: 0 };
      this.#accounts.set(subject, account);
    }
    account.score = this.#scoreOf(account, now) + this.#settings.points[signal] * times;
    account.at = now;
    const known = account.signals.get(signal);
    if (known === undefined) account.signals.set(signal, { count: times, lastAt: now });
    else {
      known.count += times;
      known.lastAt = now;
    }
    if (account.score >= this.#settings.blockAt && account.blockedUntil <= now) account.blockedUntil = now + this.#settings.blockFor;
    this.#announce(subject, account, signal);
  }

  #delete(subject: RiskSubject): void {
    if (this.#accounts.delete(subject) && isAddress(subject)) this.#addresses -= 1;
  }

  #forget(subject: RiskSubject): RiskView | null {
    const account = this.#accounts.get(subject);
    if (account === undefined) return null;
    this.#delete(subject);
    return { ...this.#view(subject, account), score: 0, level: 'none', until: null };
  }

  /** While a level only rises it is told as it does; one that falls is told when it is looked at. */
  #announce(subject: RiskSubject, account: Account, reason: RiskSignal | 'decay'): void {
    const before = account.level;
    const level = this.#levelOf(subject, account, this.#clock.now());
    if (level === before || (reason !== 'decay' && RANK[level] < RANK[before])) return;
    account.level = level;
    this.#onRisk(this.#view(subject, account), before, reason);
  }

  #levelOf(subject: RiskSubject, account: Account, now: number): RiskLevel {
    if (account.blockedUntil > now) return 'block';
    const score = this.#scoreOf(account, now);
    const reaches = (at: number, rung: RiskLevel): boolean => score >= (RANK[account.level] >= RANK[rung] ? at * EASE : at);
    if (subject.startsWith('session:') && reaches(this.#settings.challengeAt, 'challenge')) return 'challenge';
    return reaches(this.#settings.throttleAt, 'throttle') ? 'throttle' : 'none';
  }

  #scoreOf({ score, at }: Account, now: number): number {
    return score * 2 ** (-Math.max(0, now - at) / this.#settings.halfLife);
  }

  #decaysIn(account: Account, now: number, to: number): number {
    return this.#settings.halfLife * Math.log2(Math.max(1, this.#scoreOf(account, now) / to));
  }

  #view(subject: RiskSubject, account: Account): RiskView {
    const now = this.#clock.now();
    return {
      subject,
      score: Math.round(this.#scoreOf(account, now) * 10) / 10,
      level: this.#levelOf(subject, account, now),
      until: account.blockedUntil > now ? account.blockedUntil : null,
      signals: [...account.signals].map(([signal, { count, lastAt }]) => ({ signal, count, lastAt })),
    };
  }
}

function isAddress(subject: RiskSubject): boolean {
  return subject.startsWith('address:');
}
