import type { UpstreamCall, UpstreamHead } from './call.ts';

/** An answer Sallyport composes itself (model lists, the built-in demo model), in the shape of an upstream's. */
export class StaticCall implements UpstreamCall {
  readonly head: Promise<UpstreamHead>;
  readonly #chunks: Iterator<Buffer>;
  readonly #pace: number;
  #ended = false;

  /** `pace` is the pause between chunks in milliseconds: a demo stream should look like one. */
  constructor(mediaType: string, chunks: Iterable<Buffer>, pace: number = 0) {
    this.head = Promise.resolve({ status: 200, mediaType, retryAfter: null });
    this.#chunks = chunks[Symbol.iterator]();
    this.#pace = pace;
  }

  take(): Buffer | undefined {
    if (this.#pace > 0 || this.#ended) return undefined;
    return this.#pull() ?? undefined;
  }

  async next(): Promise<Buffer | null> {
    if (this.#ended) return null;
    if (this.#pace > 0) await new Promise((resolve) => setTimeout(resolve, this.#pace));
    return this.#pull();
  }

  abort(): void {
    this.#ended = true;
  }

  [Symbol.dispose](): void {
    this.abort();
  }

  #pull(): Buffer | null {
    if (this.#ended) return null;
    const step = this.#chunks.next();
    if (step.done === true) this.#ended = true;
    return step.done === true ? null : step.value;
  }
}
