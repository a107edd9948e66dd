import type { Calibration, Hedge, LimitEstimate, Reservation } from '@sallyport/access';
import type { Fault, Meter, Usage } from '@sallyport/core';
import type { Destination } from './stage/facts.ts';

/** Output tokens by which the reservation of a stream that goes on is extended. Each is a question to the counters. */
const EXTENSION = 256;

/** What is known of a reply's tokens while it passes: as the upstream reports them, and the text seen so far. */
export interface TokenSource {
  readonly usage: Usage | null;
  /** Bytes of UTF-8. */
  readonly textBytes: number;
}

/** What is known of a request before it is sent. */
export interface ChargeBasis {
  readonly estimate: LimitEstimate;
  readonly model: string | null;
  /** Bytes of a request that is only text, else null: what tokens by bytes are learned from. */
  readonly inputBytes: number | null;
  readonly calibration: Calibration;
  readonly meter: Meter;
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
  readonly #reservation: Reservation;
  readonly #basis: ChargeBasis;
  #stage: 'held' | 'sent' | 'refused' | 'answered' = 'held';
  #source: TokenSource | null = null;
  #settled = false;
  #disposed = false;

  constructor(reservation: Reservation, basis: ChargeBasis) {
    this.#reservation = reservation;
    this.#basis = basis;
    basis.meter.tokensInFlight(basis.estimate.input + basis.estimate.output);
  }

  /** `local` where shared counters were out of reach and a share of the limits decided. */
  get origin(): Reservation['origin'] {
    return this.#reservation.origin;
  }

  /** The request is to be sent there: what the limits of that model and upstream ask for is reserved. Throws the limit's fault. */
  move({ route, upstream }: Destination): void | Promise<void> {
    return this.#reservation.move({ model: route.name, upstream: upstream.name, price: route.price ?? null });
  }

  /** A second server is to be asked beside the first (`Reservation.hedge`). */
  hedge({ upstream }: Destination): Hedge | null | Promise<Hedge | null> {
    return this.#reservation.hedge(upstream.name);
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

  /**
   * Asked while a stream flows: null while what it has generated is reserved, or more could be; the fault to cut it with where a limit has
   * no room for more. A limit that lets streams finish (`overrun: finish`) is not asked.
   */
  flow(): Fault | null | Promise<Fault | null> {
    const covered = this.#reservation.coveredOutput;
    if (covered === Number.POSITIVE_INFINITY || this.#source === null) return null;
    const output = Math.max(this.#source.usage?.output ?? 0, this.#generated(this.#source.textBytes));
    return output <= covered ? null : this.#reservation.extend(output - covered + EXTENSION);
  }

  /** Replaces the reservation by what was used, once, and returns that for the ledger; null where no tokens were, or nobody can know. */
  settle(fault: Fault | null): Usage | null {
    if (this.#settled) return null;
    this.#settled = true;
    const usage = this.#used(fault);
    if (usage === null) return null;
    this.#reservation.settle(usage);
    this.#learn(fault);
    return usage.exact || usage.input > 0 || usage.output > 0 ? usage : null;
  }

  /** Frees what is held for the length of the call (concurrency). */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { meter, estimate } = this.#basis;
    meter.tokensInFlight(-(estimate.input + estimate.output));
    this.#reservation[Symbol.dispose]();
  }

  #learn(fault: Fault | null): void {
    const { calibration, model, inputBytes } = this.#basis;
    if (fault !== null || model === null || this.#source === null || this.#source.usage === null) return;
    calibration.learn(model, this.#source.usage, inputBytes, this.#source.textBytes);
  }

  #generated(textBytes: number): number {
    return this.#basis.estimate.output === 0 ? 0 : this.#basis.calibration.outputTokens(this.#basis.model, textBytes);
  }

  #used(fault: Fault | null): Usage | null {
    if (this.#source !== null) return this.#fromReply(this.#source, fault === null);
    if (this.#stage === 'held') return estimated(0, 0);
    const workUnseen = this.#stage !== 'refused' && (fault?.code === 'client_closed_request' || fault?.code === 'upstream_timeout');
    if (workUnseen) return null;
    return estimated(this.#stage === 'sent' ? 0 : this.#basis.estimate.input, 0);
  }

  /** A reply that is whole has the upstream's last word on it. One that broke off may have only its first (Anthropic's `message_start`). */
  #fromReply({ usage, textBytes }: TokenSource, whole: boolean): Usage {
    const seen = this.#generated(textBytes);
    if (usage === null) return estimated(this.#basis.estimate.input, seen);
    if (usage.output >= seen || (whole && usage.output > 0)) return usage;
    return { ...usage, output: seen, exact: false };
  }
}

function estimated(input: number, output: number): Usage {
  return { input, output, cached: 0, exact: false };
}
