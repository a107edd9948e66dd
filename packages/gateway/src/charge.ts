import type { LimitEstimate, Reservation } from '@sallyport/access';
import type { Fault, Usage } from '@sallyport/core';

/** Bytes of generated text (UTF-8) that make a token, where the upstream does not count. */
const BYTES_PER_OUTPUT_TOKEN = 4;

/** What is known of a reply's tokens while it passes: as the upstream reports them, and the text seen so far. */
export interface TokenSource {
  readonly usage: Usage | null;
  /** Bytes of UTF-8. */
  readonly textBytes: number;
}

/**
 * What an exchange costs its caller: reserved before the call, replaced by what was used at its end, however it ends.
 *
 * - Nothing asked, or nobody answered: no tokens.
 * - The upstream refused or failed before a reply: the input.
 * - A reply was read, whole or in part: what the upstream reports, and no less than the text that was seen where it broke off.
 * - The client left, or time ran out, before anything of the reply was seen: the reservation stays, since the model may have been at
 *   work all the time and nobody may gain by breaking off.
 */
export class Charge implements Disposable {
  readonly headers: readonly string[];
  readonly #reservation: Reservation;
  readonly #estimate: LimitEstimate;
  #stage: 'held' | 'sent' | 'refused' | 'answered' = 'held';
  #source: TokenSource | null = null;
  #settled = false;

  constructor(reservation: Reservation, estimate: LimitEstimate) {
    this.headers = reservation.headers;
    this.#reservation = reservation;
    this.#estimate = estimate;
  }

  /** The request leaves for an upstream. */
  sent(): void {
    this.#stage = 'sent';
  }

  /** An upstream answered with a head: that of a reply, or of a refusal. */
  headed(accepted: boolean): void {
    this.#stage = accepted ? 'answered' : 'refused';
  }

  /** A reply is read. */
  follow(source: TokenSource): void {
    this.#source = source;
  }

  /** Replaces the reservation by what was used, once, and returns that for the ledger; null where no tokens were, or nobody can know. */
  settle(fault: Fault | null): Usage | null {
    if (this.#settled) return null;
    this.#settled = true;
    const usage = this.#used(fault);
    if (usage === null) return null;
    this.#reservation.settle(usage);
    return usage.exact || usage.input > 0 || usage.output > 0 ? usage : null;
  }

  /** Frees what is held for the length of the call (concurrency). */
  [Symbol.dispose](): void {
    this.#reservation[Symbol.dispose]();
  }

  #used(fault: Fault | null): Usage | null {
    if (this.#source !== null) return fromReply(this.#source, this.#estimate, fault === null);
    if (this.#stage === 'held') return estimated(0, 0);
    const workUnseen = this.#stage !== 'refused' && (fault?.code === 'client_closed_request' || fault?.code === 'upstream_timeout');
    if (workUnseen) return null;
    return estimated(this.#stage === 'sent' ? 0 : this.#estimate.input, 0);
  }
}

/** A reply that is whole has the upstream's last word on it. One that broke off may have only its first (Anthropic's `message_start`). */
function fromReply({ usage, textBytes }: TokenSource, estimate: LimitEstimate, whole: boolean): Usage {
  const seen = estimate.output === 0 ? 0 : Math.ceil(textBytes / BYTES_PER_OUTPUT_TOKEN);
  if (usage === null) return estimated(estimate.input, seen);
  if (usage.output >= seen || (whole && usage.output > 0)) return usage;
  return { ...usage, output: seen, exact: false };
}

function estimated(input: number, output: number): Usage {
  return { input, output, cached: 0, exact: false };
}
