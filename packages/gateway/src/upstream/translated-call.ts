import type { Fault, UpstreamKind, Usage } from '@sallyport/core';
import type { Extension, ReplyTranslator } from '@sallyport/wire';
import { readAll, type UpstreamCall, type UpstreamHead } from './call.ts';

/** Largest whole reply that is translated, bytes: as much as is passed on. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** Parameters beyond the documented APIs, by the kind of server that takes them (vLLM 0.13, llama.cpp b7200). */
const EXTENSIONS: Partial<Readonly<Record<UpstreamKind, readonly Extension[]>>> = {
  vllm: ['top_k', 'min_p', 'repetition_penalty', 'chat_template_kwargs', 'reasoning_content'],
  llamacpp: ['top_k', 'min_p', 'typical_p', 'repeat_penalty', 'chat_template_kwargs', 'reasoning_content'],
  anthropic: ['top_k'],
};

export function extensionsOf(kind: UpstreamKind): ReadonlySet<Extension> {
  return new Set(EXTENSIONS[kind]);
}

export interface TranslatedCallOptions {
  readonly stream: boolean;
  /** What the upstream has to answer with, and what the client is told. */
  readonly upstreamType: string;
  readonly clientType: string;
}

/** The answer of an upstream that speaks another dialect than the client, as if it had spoken the client's. */
export class TranslatedCall implements UpstreamCall {
  readonly head: Promise<UpstreamHead>;
  readonly #inner: UpstreamCall;
  readonly #translator: ReplyTranslator;
  readonly #stream: boolean;
  #ended = false;

  constructor(inner: UpstreamCall, translator: ReplyTranslator, { stream, upstreamType, clientType }: TranslatedCallOptions) {
    this.#inner = inner;
    this.#translator = translator;
    this.#stream = stream;
    // Any other type stays as it is, and is found to be unreadable by whoever expects the client's.
    this.head = inner.head.then((head) =>
      head.status < 300 ? { ...head, mediaType: head.mediaType === upstreamType ? clientType : null } : head,
    );
    this.head.catch(() => undefined); // the caller of `inner.head` is told as well
  }

  get usage(): Usage | null {
    return this.#translator.usage;
  }

  take(): Buffer | undefined {
    if (!this.#stream || this.#ended) return undefined;
    for (;;) {
      if (this.#translator.fault !== null) throw this.#translator.fault;
      const chunk = this.#inner.take();
      if (chunk === undefined) return undefined;
      const out = joined(this.#translator.push(chunk));
      if (out !== null) return out;
    }
  }

  async next(): Promise<Buffer | null> {
    if (this.#ended) return null;
    if (!this.#stream) {
      this.#ended = true;
      return this.#translator.whole(await readAll(this.#inner, MAX_REPLY_BYTES));
    }
    for (;;) {
      if (this.#translator.fault !== null) throw this.#translator.fault;
      const chunk = await this.#inner.next();
      if (chunk === null) return this.#last();
      const out = joined(this.#translator.push(chunk));
      if (out !== null) return out;
    }
  }

  abort(why?: Fault): void {
    this.#inner.abort(why);
  }

  [Symbol.dispose](): void {
    this.abort();
  }

  #last(): Buffer | null {
    const out = joined(this.#translator.end());
    if (this.#translator.fault === null) this.#ended = true;
    return out;
  }
}

function joined(events: readonly Buffer[]): Buffer | null {
  const [first] = events;
  if (first === undefined) return null;
  return events.length === 1 ? first : Buffer.concat(events);
}
