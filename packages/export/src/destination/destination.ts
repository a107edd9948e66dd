import type { SoundEvent } from '../event.ts';

export interface Attempt {
  /** From 1 on; above 1 the receiver may have had these events before. */
  readonly number: number;
  /** Aborted when the exporter stops or the attempt has taken too long. */
  readonly signal: AbortSignal;
}

/** What became of a batch. Events named in neither list are with the receiver. */
export interface Delivery {
  /** Events the receiver will never take, by their index in the batch. */
  readonly refused: readonly { readonly index: number; readonly reason: string }[];
  /** Indices of events that it may take later. */
  readonly again: readonly number[];
  /** Milliseconds it asked to be left alone, or null. */
  readonly retryAfter: number | null;
}

export const DELIVERED: Delivery = { refused: [], again: [], retryAfter: null };

/** A receiver of events. One batch at a time, so that the next is not sent before the one before it is taken. */
export interface Destination extends AsyncDisposable {
  /**
   * Resolves when the receiver has said what it took.
   * @throws {DeliveryFailed} nothing is known to have arrived: again later · {BatchRefused} the receiver takes none of it
   */
  deliver(events: readonly SoundEvent[], attempt: Attempt): Promise<Delivery>;
}

/** The batch is to be sent again. The reason is ours, or a code of the receiver; never its text. */
export class DeliveryFailed extends Error {
  override readonly name: string = 'DeliveryFailed';
  /** Milliseconds the receiver asked to be left alone, or null. */
  readonly retryAfter: number | null;

  constructor(reason: string, options: ErrorOptions & { readonly retryAfter?: number | null } = {}) {
    super(reason, options);
    this.retryAfter = options.retryAfter ?? null;
  }
}

/** The receiver will not take this batch as it is: too large, or something in it is wrong for it. */
export class BatchRefused extends Error {
  override readonly name: string = 'BatchRefused';
}
