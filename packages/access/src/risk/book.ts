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
  /** The part of its requests of late that were such, each by its points, 0 to 1. */
  readonly share: number;
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
  /** So many requests of a subject ended well, as far as they count still. */
  | { readonly kind: 'well'; readonly subject: RiskSubject; readonly times: number }
  | { readonly kind: 'reset'; readonly subject: RiskSubject };

/** Carries signals and resets between the replicas of an installation. Best effort: a message that is lost makes a score smaller, no more. */
export interface RiskRelay {
  send(message: RiskMessage): void;
}

interface Account {
  /** Of what it did. */
  points: number;
  /** Epoch milliseconds as of which `points` count. */
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
 * The share of bad requests that is overlooked. What a subject did counts by its share of what it sends: of ten blocked texts among ten
 * others half count, among fifty a seventh, and one in a hundred leaves no score, however many there are.
 */
const OVERLOOKED = 0.01;
/** Subjects kept; beyond it nobody new is counted until old ones have decayed. */
const MAX_SUBJECTS = 50_000;
/** Of these, addresses: whoever has many must not leave no room for callers. */
const MAX_ADDRESSES = 25_000;
/** Milliseconds between two looks for what has decayed. */
const SWEEP_EVERY = 10_000;

/** Requests that ended well, each halved by its age like what is bad. */
interface Good {
  /** As of which it counts, epoch milliseconds. */
  at: number;
  own: number;
  /** Of these, those that other replicas know of. */
  told: number;
  /** Those of other replicas. */
  others: number;
}

/** Milliseconds in which nothing decays that matters. */
const MOMENT = 1_000;

/**
 * A score for each principal, session and address, of what the guard, the policy and the limits had to say of it. It halves every
 * `halfLife`; thresholds slow a subject, ask it for a fresh credential, or keep it out for a time. Everything is in memory and nothing is
 * taken from a request but who sent it.
 */
export class RiskBook {
  readonly #clock: Clock;
  readonly #onRisk: OnRisk;
  readonly #relay: RiskRelay | null;
  readonly #accounts = new Map<RiskSubject, Account>();
  readonly #good = new Map<RiskSubject, Good>();
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
    if (settings.enabled) return;
    for (const subject of this.#accounts.keys()) this.#delete(subject);
    this.#good.clear();
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
    if (level === 'challenge') return { subject, level, wait: this.#decaysIn(subject, account, now, this.#settings.challengeAt * EASE) };
    if (now < account.nextAt) return { subject, level, wait: account.nextAt - now };
    account.nextAt = now + 60_000 / this.#settings.throttlePerMinute;
    return null;
  }

  /** The subject did something, so many times. Told to the other replicas. */
  report(subject: RiskSubject, signal: RiskSignal, times: number = 1): void {
    if (!this.#settings.enabled || this.#settings.points[signal] === 0) return;
    this.#count(subject, signal, times);
    if (this.#relay === null) return;
    // What is to be weighed against it comes first.
    this.#tellGood(subject);
    this.#relay.send({ kind: 'signal', subject, signal, times });
  }

  /** A request of the subject ended well. Ends no block before its time. */
  endedWell(subject: RiskSubject): void {
    if (this.#settings.enabled) this.#goodOf(subject).own += 1;
  }

  /** What another replica has told, `age` milliseconds ago. */
  apply(message: RiskMessage, age: number = 0): void {
    if (message.kind === 'reset') this.#forget(message.subject);
    else if (!this.#settings.enabled) return;
    else if (message.kind === 'well') this.#goodOf(message.subject).others += message.times * 2 ** (-age / this.#settings.halfLife);
    else {
      this.#count(message.subject, message.signal, message.times, age);
      this.#tellGood(message.subject);
    }
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
      // Not by its score: what is outweighed for now is not forgotten.
      if (account.level === 'none' && this.#pointsOf(account, now) < NOTHING) this.#delete(subject);
      else this.#tellGood(subject);
    }
  }

  #count(subject: RiskSubject, signal: RiskSignal, times: number, age: number = 0): void {
    if (this.#clock.now() - this.#sweptAt >= SWEEP_EVERY) this.sweep();
    const now = this.#clock.now() - age;
    let account = this.#accounts.get(subject);
    if (account === undefined) {
      const isFull = this.#accounts.size >= MAX_SUBJECTS || (isAddress(subject) && this.#addresses >= MAX_ADDRESSES);
      if (isFull) return;
      if (isAddress(subject)) this.#addresses += 1;
      account = { points: 0, at: now, signals: new Map(), level: 'none', blockedUntil: 0, nextAt: 0 };
      this.#accounts.set(subject, account);
    }
    // What happened before that is told late counts as of then.
    const late = Math.max(0, account.at - now);
    account.points = this.#pointsOf(account, now) + this.#settings.points[signal] * times * 2 ** (-late / this.#settings.halfLife);
    account.at = Math.max(account.at, now);
    const known = account.signals.get(signal);
    if (known === undefined) account.signals.set(signal, { count: times, lastAt: now });
    else {
      known.count += times;
      known.lastAt = now;
    }
    if (this.#scoreOf(subject, account, now) >= this.#settings.blockAt && account.blockedUntil <= now)
      account.blockedUntil = now + this.#settings.blockFor;
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
    const score = this.#scoreOf(subject, account, now);
    const reaches = (at: number, rung: RiskLevel): boolean => score >= (RANK[account.level] >= RANK[rung] ? at * EASE : at);
    if (subject.startsWith('session:') && reaches(this.#settings.challengeAt, 'challenge')) return 'challenge';
    return reaches(this.#settings.throttleAt, 'throttle') ? 'throttle' : 'none';
  }

  #goodOf(subject: RiskSubject): Good {
    const now = this.#clock.now();
    const known = this.#good.get(subject);
    if (known === undefined) {
      // Whoever is forgotten for it is judged more strictly, no more.
      if (this.#good.size >= MAX_SUBJECTS) for (const oldest of this.#good.keys()) if (this.#good.delete(oldest)) break;
      const fresh = { at: now, own: 0, told: 0, others: 0 };
      this.#good.set(subject, fresh);
      return fresh;
    }
    const age = now - known.at;
    if (age >= MOMENT) {
      const left = 2 ** (-age / this.#settings.halfLife);
      known.at = now;
      known.own *= left;
      known.told *= left;
      known.others *= left;
    }
    return known;
  }

  /** Other replicas judge by what ended well here too, of a subject against which something counts. */
  #tellGood(subject: RiskSubject): void {
    if (this.#relay === null || !this.#good.has(subject)) return;
    const good = this.#goodOf(subject);
    const times = Math.round((good.own - good.told) * 10) / 10;
    if (times < 1) return;
    good.told = good.own;
    this.#relay.send({ kind: 'well', subject, times });
  }

  #pointsOf({ points, at }: Account, now: number): number {
    return points * 2 ** (-Math.max(0, now - at) / this.#settings.halfLife);
  }

  /** The worst signal weighs as much as a request that ended well; the others by their points. */
  #shareOf(subject: RiskSubject, points: number): number {
    if (points === 0 || !this.#good.has(subject)) return 1;
    const { own, others } = this.#goodOf(subject);
    return points / (points + (own + others) * Math.max(...Object.values(this.#settings.points)));
  }

  #scoreOf(subject: RiskSubject, account: Account, now: number): number {
    const points = this.#pointsOf(account, now);
    return points * Math.max(0, (this.#shareOf(subject, points) - OVERLOOKED) / (1 - OVERLOOKED));
  }

  #decaysIn(subject: RiskSubject, account: Account, now: number, to: number): number {
    return this.#settings.halfLife * Math.log2(Math.max(1, this.#scoreOf(subject, account, now) / to));
  }

  #view(subject: RiskSubject, account: Account): RiskView {
    const now = this.#clock.now();
    return {
      subject,
      score: Math.round(this.#scoreOf(subject, account, now) * 10) / 10,
      share: Math.round(this.#shareOf(subject, this.#pointsOf(account, now)) * 100) / 100,
      level: this.#levelOf(subject, account, now),
      until: account.blockedUntil > now ? account.blockedUntil : null,
      signals: [...account.signals].map(([signal, { count, lastAt }]) => ({ signal, count, lastAt })),
    };
  }
}

function isAddress(subject: RiskSubject): boolean {
  return subject.startsWith('address:');
}
