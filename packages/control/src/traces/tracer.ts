import { randomFillSync } from 'node:crypto';
import type { Clock, Trace, TracedExchange, Tracer } from '@sallyport/core';
import { checkTracestate, formatTraceparent, parseTraceparent } from './context.ts';
import { type OtlpSpan, spansOf } from './spans.ts';

export interface TracerOptions {
  /** Share of exchanges that are traced, 0 to 1. */
  readonly sample: number;
  /** Whether a known caller's own decision goes before the share. */
  readonly followClient: boolean;
  /** Whether spans name principal and tenant. */
  readonly identity: boolean;
  readonly clock: Clock;
  /** Takes finished spans, or says that there is no room for them. */
  readonly keep: (spans: readonly OtlpSpan[]) => boolean;
}

/** Trace ids are compared with the share by their last seven bytes, so that services which sample the same share pick the same traces. */
const RANDOM_DIGITS = 13;

interface OwnTrace extends Trace {
  /** The client's span, or null where the trace begins here. */
  readonly parent: string | null;
  readonly serverSpan: string;
  readonly clientSpan: string;
}

/** Decides which exchanges are traced, and makes spans of them when they are over. */
export class SamplingTracer implements Tracer {
  readonly #options: TracerOptions;
  readonly #traces = new WeakSet<Trace>();
  readonly #pool = Buffer.alloc(4_096);
  #used = 4_096;

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  // The client's headers enter here.
  begin(traceparent: string | undefined, tracestate: string | undefined, known: boolean): OwnTrace | null {
    const client = parseTraceparent(traceparent);
    const { sample, followClient } = this.#options;
    // Without a client's trace most exchanges end here: one random number, no id.
    if (client === null && Math.random() >= sample) return null;
    const state = client === null ? null : checkTracestate(tracestate);
    const tail = state === null ? [] : ['tracestate', state];
    if (client !== null && !(followClient && known ? client.sampled : shareOf(client.traceId) < sample)) {
      // Not ours to keep, but theirs to go on with.
      const headers = ['traceparent', formatTraceparent(client), ...tail];
      return { id: client.traceId, sampled: false, headers, parent: client.parentId, serverSpan: '', clientSpan: '' };
    }
    const traceId = client?.traceId ?? this.#id(16);
    const clientSpan = this.#id(8);
    const headers = ['traceparent', formatTraceparent({ traceId, parentId: clientSpan, sampled: true }), ...tail];
    const trace: OwnTrace = { id: traceId, sampled: true, headers, parent: client?.parentId ?? null, serverSpan: this.#id(8), clientSpan };
    this.#traces.add(trace);
    return trace;
  }

  end(trace: Trace, exchange: TracedExchange): void {
    if (!isOwn(trace) || !this.#traces.has(trace)) return;
    this.#options.keep(spansOf(trace, exchange, this.#options.clock.now(), this.#options.identity));
  }

  #id(bytes: number): string {
    if (this.#used + bytes > this.#pool.length) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const id = this.#pool.toString('hex', this.#used, this.#used + bytes);
    this.#used += bytes;
    return /^0+$/.test(id) ? this.#id(bytes) : id;
  }
}

function isOwn(trace: Trace): trace is OwnTrace {
  return 'serverSpan' in trace;
}

/** Where a trace id lies between 0 and 1. */
function shareOf(traceId: string): number {
  return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) / 16 ** RANDOM_DIGITS;
}
