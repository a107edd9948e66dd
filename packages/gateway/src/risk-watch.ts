import {
  AddressList,
  networkOf,
  RiskBook,
  type RiskLevel,
  type RiskMessage,
  type RiskRefusal,
  type RiskRelay,
  type RiskSubject,
  type RiskView,
} from '@sallyport/access';
import {
  type Clock,
  type EntryFacts,
  Fault,
  type Logger,
  NO_EXCHANGE,
  type Principal,
  type Random,
  type RiskSettings,
  type RiskSignal,
} from '@sallyport/core';
import type { LedgerPort } from './ports.ts';

/** What an operator may see and undo. */
export interface RiskBoard {
  list(): RiskView[];
  show(subject: RiskSubject): RiskView | null;
  /** The ledger has it, with who did it, before it is done. Rejects where it cannot be recorded. Null where nothing is known of the subject. */
  reset(subject: RiskSubject, by: string): Promise<RiskView | null>;
}

/** An end of an exchange, as far as it says something about its caller. */
export interface Conduct {
  /** Null where nobody was identified. */
  readonly principal: Principal | null;
  readonly session: string | null;
  readonly ip: string;
  readonly fault: Fault | null;
  readonly wasFlagged: boolean;
  /** What was found last was in words of somebody else's: a document, what a tool returned. */
  readonly isForeign: boolean;
}

export interface RiskWatchOptions {
  readonly ledger: LedgerPort;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly relay: RiskRelay | null;
  /** False where it only knows what gateways in other processes do: each step is theirs to record. Default: true. */
  readonly enforces?: boolean;
  /** Ends what runs for a subject that was just kept out. */
  readonly onBlocked: (subject: RiskSubject) => void;
}

/** How often what has decayed is looked for, milliseconds. */
const SWEEP_EVERY = 10_000;

/** Reasons of a refused credential that are a mistake, not a guess. */
const MISTAKES: ReadonlySet<string> = new Set(['missing', 'expired', 'not-yet-valid', 'jwks-unavailable']);

/** Keeps the risk book of a gateway: what ends of exchanges say goes in, refusals come out, and every step is in the ledger. */
export class RiskWatch implements RiskBoard, Disposable {
  readonly #options: RiskWatchOptions;
  readonly #book: RiskBook;
  readonly #timer: NodeJS.Timeout;
  #exempt: AddressList = new AddressList([]);

  constructor(options: RiskWatchOptions) {
    const { clock, relay } = options;
    this.#options = options;
    this.#book = new RiskBook(OFF, {
      clock,
      onRisk: (view, before, reason) => this.#changed(view, before, reason),
      ...(relay === null ? {} : { relay }),
    });
    this.#timer = setInterval(() => this.#book.sweep(), SWEEP_EVERY);
    this.#timer.unref();
  }

  configure(settings: RiskSettings): void {
    this.#exempt = new AddressList(settings.exempt);
    this.#book.configure(settings);
  }

  /** Of a caller that did not prove who it is. Throws where its address is held back. */
  checkAddress(ip: string): void {
    if (!this.#book.isEmpty) this.#enforce(`address:${networkOf(ip)}`);
  }

  /** Throws where the principal, or the credential it came with, is held back. */
  checkCaller(principal: Principal, session: string): void {
    if (this.#book.isEmpty) return;
    this.#enforce(principalSubject(principal));
    this.#enforce(`session:${session}`);
  }

  /** Takes note of how an exchange ended. Costs next to nothing where it ended well. */
  concluded({ principal, session, ip, fault, wasFlagged, isForeign }: Conduct): void {
    if (fault === null && !wasFlagged) {
      this.#endedWell(principal, session);
      return;
    }
    const told = fault === null ? 'flagged' : signalOf(fault, principal === null);
    // Who wrote a hostile page must not be able to have its readers kept out.
    const signal = told === 'blocked' && isForeign ? 'flagged' : told;
    if (signal === null) return;
    if (principal === null) {
      if (!this.#exempt.has(ip)) this.#book.report(`address:${networkOf(ip)}`, signal);
      return;
    }
    this.#book.report(principalSubject(principal), signal);
    if (session !== null) this.#book.report(`session:${session}`, signal);
  }

  #endedWell(principal: Principal | null, session: string | null): void {
    if (principal === null) return;
    this.#book.endedWell(principalSubject(principal));
    if (session !== null) this.#book.endedWell(`session:${session}`);
  }

  /** What another replica has told, `age` milliseconds ago. */
  apply(message: RiskMessage, age: number = 0): void {
    this.#book.apply(message, age);
  }

  list(): RiskView[] {
    return this.#book.list();
  }

  show(subject: RiskSubject): RiskView | null {
    return this.#book.show(subject);
  }

  async reset(subject: RiskSubject, by: string): Promise<RiskView | null> {
    const known = this.#book.show(subject);
    if (known === null) return null;
    const { seq } = await this.#options.ledger.append(this.#entry('risk.reset', known, { by, before: known.level }));
    if (seq < 0) throw new Fault('not_ready', 'This cannot be recorded at the moment and was not done. Try again.', { detail: 'ledger' });
    return this.#book.reset(subject);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #enforce(subject: RiskSubject): void {
    const refusal = this.#book.check(subject);
    if (refusal !== null) throw refusalFault(refusal);
  }

  #changed(view: RiskView, before: RiskLevel, reason: RiskSignal | 'decay'): void {
    if (this.#options.enforces === false) return;
    const action = reason === 'decay' ? 'risk.eased' : `risk.${view.level}`;
    this.#options.logger[reason === 'decay' ? 'info' : 'warn'](action, { subject: view.subject, score: view.score, reason });
    this.#options.ledger.append(this.#entry(action, view, { before, reason })).catch((error: unknown) => {
      this.#options.logger.error('ledger.append', { reason: error instanceof Error ? error.name : 'unknown' });
    });
    if (view.level === 'block') this.#options.onBlocked(view.subject);
  }

  #entry(action: string, view: RiskView, detail: EntryFacts['detail']): EntryFacts {
    const counts = Object.fromEntries(view.signals.map(({ signal, count }) => [signal, count]));
    return {
      id: Buffer.from(this.#options.random.bytes(12)).toString('base64url'),
      kind: 'finding',
      principal: null,
      source: null,
      action,
      resource: view.subject,
      decision: null,
      ...NO_EXCHANGE,
      detail: { ...counts, score: view.score, level: view.level, until: view.until, ...detail },
    };
  }
}

/** Until the first snapshot nobody is judged. */
const OFF: RiskSettings = {
  enabled: false,
  points: { blocked: 0, flagged: 0, authentication: 0, denied: 0, enumeration: 0, limited: 0 },
  halfLife: 1,
  throttleAt: Number.POSITIVE_INFINITY,
  throttlePerMinute: 1,
  challengeAt: Number.POSITIVE_INFINITY,
  blockAt: Number.POSITIVE_INFINITY,
  blockFor: 1,
  exempt: [],
};

export function principalSubject({ tenant, id }: Principal): RiskSubject {
  return `principal:${tenant}/${id}`;
}

/** What held back itself says nothing new, and a stranger is judged for guessed credentials alone: anybody may ask for what does not exist. */
function signalOf({ code, detail }: Fault, isStranger: boolean): RiskSignal | null {
  if (detail?.startsWith('risk:') === true || detail?.startsWith('withdrawn:') === true) return null;
  // What a server does not have, or will not take, is between it and the configuration.
  if (detail?.startsWith('upstream status') === true) return null;
  if (isStranger) return code === 'invalid_api_key' && !MISTAKES.has(detail ?? '') ? 'authentication' : null;
  switch (code) {
    case 'content_blocked':
      return 'blocked';
    case 'forbidden':
    case 'model_not_allowed':
      return 'denied';
    case 'model_not_found':
      return 'enumeration';
    case 'rate_limit_exceeded':
    case 'quota_exceeded':
      return 'limited';
    default:
      return null;
  }
}

function refusalFault({ subject, level, wait }: RiskRefusal): Fault {
  const options = { detail: `risk:${level}:${subject.slice(0, subject.indexOf(':'))}`, retryAfter: Math.max(1, Math.ceil(wait / 1000)) };
  switch (level) {
    case 'throttle':
      return new Fault('rate_limit_exceeded', 'Requests are slowed because of earlier ones that were refused. Try again later.', options);
    case 'challenge':
      return new Fault(
        'invalid_api_key',
        'A fresh credential is needed because of earlier requests that were refused: sign in again, or rotate the key.',
        options,
      );
    case 'block':
      return new Fault('forbidden', 'Requests are kept out for a time because of earlier ones that were refused.', options);
  }
}
