import type { Finding, Verdict } from '@sallyport/core';
import type { Guard, TextContext, TextWindow } from '@sallyport/guard';

/** Told of what a candidate would have done. */
export interface ShadowSink {
  shadowed(findings: readonly Finding[], effect: Verdict['effect']): void;
}

/** What a candidate that could not finish is recorded as. */
const FAILED: readonly Finding[] = [{ detector: 'shadow', category: 'failed', severity: 'info', start: 0, end: 0 }];

/**
 * A candidate policy beside the active one. Whatever it finds, and even where it fails, it only records: no verdict, no edit and no
 * placeholder of it reaches the exchange.
 */
export class Shadow {
  readonly #guard: Guard;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  inspect(text: string, context: TextContext, sink: ShadowSink): void {
    try {
      const verdict = this.#guard.inspect(text, apart(context));
      if (verdict.effect !== 'pass') sink.shadowed(verdict.findings, verdict.effect);
    } catch {
      sink.shadowed(FAILED, 'unavailable');
    }
  }

  open(context: TextContext, sink: ShadowSink): ShadowWindow {
    return new ShadowWindow(this.#guard.open(apart(context)), sink);
  }
}

/** A text that arrives in pieces, as the candidate sees it. */
export class ShadowWindow {
  readonly #window: TextWindow;
  readonly #sink: ShadowSink;
  #failed = false;

  constructor(window: TextWindow, sink: ShadowSink) {
    this.#window = window;
    this.#sink = sink;
  }

  push(delta: string): void {
    this.#take(() => this.#window.push(delta));
  }

  end(): void {
    this.#take(() => this.#window.end());
  }

  #take(step: () => ReturnType<TextWindow['push']>): void {
    if (this.#failed) return;
    try {
      const { findings, effect } = step();
      if (findings.length > 0) this.#sink.shadowed(findings, effect);
    } catch {
      this.#failed = true;
      this.#sink.shadowed(FAILED, 'unavailable');
    }
  }
}

/** The numbers of placeholders belong to the active policy. */
function apart({ stage, provenance, kind, exchange }: TextContext): TextContext {
  return { stage, provenance, kind, ...(exchange === undefined ? {} : { exchange }) };
}
