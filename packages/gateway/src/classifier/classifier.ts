import { hash } from 'node:crypto';
import type { ClassifierSettings, Clock, Logger, Provenance } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import { Breaker } from '../upstream/breaker.ts';
import { ask, type Opinion, readAnswer } from './answer.ts';

/** Why there is no opinion. A verdict of its own: it is neither `safe` nor `unsafe`. */
export type Absence = 'timeout' | 'failed' | 'unreadable' | 'breaker-open' | 'busy' | 'too-much';

export type ClassifierVerdict = Opinion | { readonly safe: null; readonly reason: Absence };

export interface ClassifierPorts {
  readonly egress: Pick<Egress, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What `settings.credential` points at, or null. */
  readonly credential: string | null;
}

/** Bytes of an answer; a verdict is a few dozen. */
const MAX_ANSWER = 65_536;
/** Opinions that are remembered. */
const MAX_REMEMBERED = 4_096;
const BREAKER = { failures: 5, open: 2_000, maxOpen: 60_000 } as const;

/**
 * A model served over HTTP that is asked about texts the guard itself finds suspicious and not certain. It has a time budget, a breaker, a
 * bound on calls at once and a memory; its address is one the configuration names, reached by the one way out.
 */
export class Classifier {
  readonly settings: ClassifierSettings;
  readonly #ports: ClassifierPorts;
  readonly #breaker: Breaker;
  /** By the SHA-256 of text and provenance: no text stays in memory. The oldest first. */
  readonly #remembered = new Map<string, { readonly opinion: Opinion; readonly until: number }>();
  #running = 0;

  constructor(settings: ClassifierSettings, ports: ClassifierPorts) {
    this.settings = settings;
    this.#ports = ports;
    this.#breaker = new Breaker(BREAKER, (state, reason) => {
      ports.logger[state === 'open' ? 'warn' : 'info']('classifier.breaker', { state, reason });
    });
  }

  /** Never rejects. `by` is whose text it is: one caller's texts that make it fail do not take it from everybody. */
  async judge(text: string, provenance: Provenance, by: string): Promise<ClassifierVerdict> {
    const { clock } = this.#ports;
    const name = `${provenance}/${hash('sha256', text, 'base64')}`;
    const known = this.#remembered.get(name);
    if (known !== undefined && known.until > clock.now()) return known.opinion;
    if (this.#running >= this.settings.maxConcurrency) return { safe: null, reason: 'busy' };
    const leave = this.#breaker.admit(clock.monotonic(), by);
    if (leave === 'refused') return { safe: null, reason: 'breaker-open' };
    this.#running += 1;
    let verdict: ClassifierVerdict;
    try {
      verdict = await this.#ask(text, provenance);
    } finally {
      this.#running -= 1;
    }
    if (verdict.safe === null) this.#breaker.failed(leave, clock.monotonic(), verdict.reason, by);
    else {
      this.#breaker.succeeded(leave, clock.monotonic(), by);
      this.#remember(name, verdict);
    }
    return verdict;
  }

  async #ask(text: string, provenance: Provenance): Promise<ClassifierVerdict> {
    const { egress, credential } = this.#ports;
    const { url, timeout } = this.settings;
    try {
      const answer = await egress.request(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
        },
        body: ask(this.settings, text, provenance),
        timeout,
        maxBytes: MAX_ANSWER,
      });
      if (answer.status !== 200) return { safe: null, reason: 'failed' };
      return readAnswer(this.settings, answer.body) ?? { safe: null, reason: 'unreadable' };
    } catch (error) {
      return { safe: null, reason: error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'failed' };
    }
  }

  #remember(name: string, opinion: Opinion): void {
    this.#remembered.delete(name);
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const oldest = this.#remembered.keys().next().value;
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(name, { opinion, until: this.#ports.clock.now() + this.settings.remember });
  }
}
