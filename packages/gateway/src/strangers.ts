import { type Clock, type EntryFacts, type Logger, NO_EXCHANGE, type Random } from '@sallyport/core';
import type { LedgerPort } from './ports.ts';

/** Milliseconds over which requests without a known caller are counted together. */
const PERIOD = 10_000;
/** Addresses told apart in one period; the rest is counted as `other`. */
const MAX_ADDRESSES = 64;
/** Distinct reasons told apart for one address. */
const MAX_REASONS = 8;
/** What a member of an entry's `detail` may be called. */
const MEMBER = /^[a-z][A-Za-z0-9_.-]{0,63}$/;

/** Counts requests that never got a principal and writes them to the ledger in aggregate, one entry an address and period. */
export class Strangers implements AsyncDisposable {
  readonly #ledger: LedgerPort;
  readonly #logger: Logger;
  readonly #random: Random;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, Map<string, number>>();

  constructor(options: {
    readonly ledger: LedgerPort;
    readonly logger: Logger;
    readonly clock: Clock;
    readonly random: Random;
    readonly period?: number;
  }) {
    this.#ledger = options.ledger;
    this.#logger = options.logger;
    this.#random = options.random;
    this.#timer = setInterval(() => void this.flush(), options.period ?? PERIOD);
    this.#timer.unref();
  }

  /** `reason` is one of our own codes, never text of the request. */
  count(reason: string, ip: string, times: number = 1): void {
    const address = this.#counts.has(ip) || this.#counts.size < MAX_ADDRESSES ? ip : 'other';
    let reasons = this.#counts.get(address);
    if (reasons === undefined) {
      reasons = new Map();
      this.#counts.set(address, reasons);
    }
    const member = MEMBER.test(reason) ? reason : memberName(reason);
    const name = reasons.has(member) || reasons.size < MAX_REASONS ? member : 'other';
    reasons.set(name, (reasons.get(name) ?? 0) + times);
  }

  /** Writes what was counted. A ledger that refuses keeps the counts for the next time. */
  async flush(): Promise<void> {
    const counts = this.#counts;
    if (counts.size === 0) return;
    this.#counts = new Map();
    for (const [ip, reasons] of counts) {
      try {
        await this.#ledger.append(this.#facts(ip, reasons));
      } catch (error) {
        this.#logger.error('ledger.append', { reason: error instanceof Error ? error.name : 'unknown' });
        // What was written is deleted below, so what is left here is exactly what was not.
        for (const [address, left] of counts) for (const [reason, times] of left) this.count(reason, address, times);
        return;
      }
      counts.delete(ip);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  #facts(ip: string, reasons: ReadonlyMap<string, number>): EntryFacts {
    return {
      id: Buffer.from(this.#random.bytes(12)).toString('base64url'),
      kind: 'auth',
      principal: null,
      source: { ip: ip === 'other' ? '0.0.0.0' : ip, port: 0, tls: null },
      action: 'request.unidentified',
      resource: null,
      decision: { effect: 'deny', rule: 'identify' },
      ...NO_EXCHANGE,
      outcome: 'refused',
      detail: Object.fromEntries(reasons),
    };
  }
}

/** `risk:throttle:address` as `risk-throttle-address`: the ledger takes no entry in which one name is not as it wants it. */
function memberName(reason: string): string {
  const name = reason.replace(/[^A-Za-z0-9_.-]/g, '-');
  return (/^[a-z]/.test(name) ? name : `reason-${name}`).slice(0, 64);
}
