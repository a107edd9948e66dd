import { Fault } from '@sallyport/core';
import type { Dispatcher } from 'undici';
import type { UpstreamCall, UpstreamHead } from './call.ts';
import { DRAIN_BYTES, type DrainBudget } from './drain-budget.ts';
import { describeFailure, type Failure } from './failure.ts';

/** Bytes that may wait unread before the upstream's socket is paused. */
const HIGH_WATER = 256 * 1024;

/** Detail of the fault of a call that took longer than any may. */
export const TOTAL_TIMEOUT: string = 'total timeout';

/**
 * An `UpstreamCall` over undici's dispatch interface, which hands out headers and chunks without streams in between
 * (undici docs/api/Dispatcher, `dispatch`).
 */
export class HttpCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly head: Promise<UpstreamHead>;
  /** Told once how the call failed, for health and retries. */
  onFailure: ((failure: Failure) => void) | null = null;
  readonly #settleHead: PromiseWithResolvers<UpstreamHead>;
  #controller: Dispatcher.DispatchController | null = null;
  #chunks: Buffer[] = [];
  #queued = 0;
  #waiting: PromiseWithResolvers<Buffer | null> | null = null;
  #first: PromiseWithResolvers<void> | null = null;
  #state: 'asked' | 'answered' | 'ended' | 'failed' = 'asked';
  #failure: Failure | null = null;
  #timer: NodeJS.Timeout | null = null;
  readonly #drain: DrainBudget | null;
  /** Bytes taken from `#drain`. */
  #drained = 0;
  /** Told once when the upstream has sent all of its answer, read or not. */
  onSent: (() => void) | null = null;
  /** Told when the client is so far behind that the upstream has to wait for it. */
  onBehind: ((isBehind: boolean) => void) | null = null;

  /** `drain`: what may be kept beyond `HIGH_WATER` for a slow client, or null where nobody waits for the server. */
  constructor(totalTimeout: number, drain: DrainBudget | null = null) {
    this.#drain = drain;
    this.#settleHead = Promise.withResolvers();
    this.head = this.#settleHead.promise;
    // A caller that has already left never looks at the head; its rejection is not an unhandled one.
    this.head.catch(() => undefined);
    if (totalTimeout > 0) {
      this.#timer = setTimeout(
        () => this.#fail(new Fault('upstream_timeout', 'The model server did not finish in time.', { detail: TOTAL_TIMEOUT })),
        totalTimeout,
      );
    }
  }

  /** How the call failed, or null while it has not. */
  get failure(): Failure | null {
    return this.#failure;
  }

  take(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#consumed(chunk.length);
    return chunk;
  }

  next(): Promise<Buffer | null> {
    const chunk = this.take();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#failure !== null) return Promise.reject(this.#failure.fault);
    if (this.#state === 'ended') return Promise.resolve(null);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** Resolves when something of the body is here, or all of it was empty. Rejects as `head` does. Leaves it unread. */
  firstByte(): Promise<void> {
    if (this.#chunks.length > 0 || this.#state === 'ended') return Promise.resolve();
    if (this.#failure !== null) return Promise.reject(this.#failure.fault);
    this.#first ??= Promise.withResolvers();
    return this.#first.promise;
  }

  abort(why?: Fault): void {
    if (this.#drained > 0) this.#giveBack();
    // Every call is aborted when its exchange is over; most have ended by then, and a fault costs a stack trace.
    if (this.#state === 'ended' || this.#state === 'failed') return;
    this.#fail(why ?? new Fault('client_closed_request', 'The request was cancelled.'));
  }

  [Symbol.dispose](): void {
    this.abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure !== null) controller.abort(this.#failure.fault);
  }

  // Everything from here on is the upstream's word: untrusted.
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200 || this.#state !== 'asked') return;
    this.#state = 'answered';
    this.#settleHead.resolve({ status, mediaType: mediaType(headers['content-type']), retryAfter: retryAfter(headers['retry-after']) });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#waiting !== null) {
      this.#waiting.resolve(chunk);
      this.#waiting = null;
      return;
    }
    this.#chunks.push(chunk);
    this.#first?.resolve();
    this.#queued += chunk.length;
    if (this.#queued > HIGH_WATER && !this.#keeps(chunk.length)) {
      controller.pause();
      this.onBehind?.(true);
    }
  }

  onResponseEnd(): void {
    if (this.#state !== 'answered') return;
    this.#state = 'ended';
    this.#release();
    this.#first?.resolve();
    this.onSent?.();
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  /** Whether so many bytes more may wait here although the client is behind. */
  #keeps(bytes: number): boolean {
    if (this.#drain === null || this.#drained + bytes > DRAIN_BYTES || !this.#drain.take(bytes)) return false;
    this.#drained += bytes;
    return true;
  }

  #giveBack(): void {
    this.#drain?.give(this.#drained);
    this.#drained = 0;
  }

  #consumed(bytes: number): void {
    this.#queued -= bytes;
    if (this.#drained > 0 && this.#queued <= HIGH_WATER) this.#giveBack();
    if (this.#controller?.paused && this.#queued <= HIGH_WATER / 2) {
      this.#controller.resume();
      this.onBehind?.(false);
    }
  }

  #fail(error: Error): void {
    if (this.#state === 'ended' || this.#state === 'failed') return;
    const failure = describeFailure(error, this.#state === 'answered');
    this.#state = 'failed';
    this.#failure = failure;
    this.#release();
    this.#settleHead.reject(failure.fault);
    this.#first?.reject(failure.fault);
    this.#waiting?.reject(failure.fault);
    this.#waiting = null;
    this.#chunks = [];
    this.#giveBack();
    this.onBehind?.(false);
    this.onFailure?.(failure);
    if (this.#controller !== null && !this.#controller.aborted) this.#controller.abort(failure.fault);
  }

  #release(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

function mediaType(value: string | string[] | undefined): string | null {
  if (typeof value !== 'string') return null;
  const end = value.indexOf(';');
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}

function retryAfter(value: string | string[] | undefined): number | null {
  return typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : null;
}
