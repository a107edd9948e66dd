import type { Exchange } from '../exchange.ts';
import { decode, decodedText } from './payload.ts';

/** Letters and digits in a row, as they stand in the context, that make an address carry it. */
const GRAM = 12;
/** Units of context that are looked through; what lies beyond is not. */
const MOST = 1_000_000;
/** Occurrences that are verified for one address. */
const TRIES = 32;

/**
 * What the model was given, so that an address can be told from one that carries some of it away. Indexed when the first address that is
 * in question comes, which in most replies is never.
 */
export class Context {
  readonly #exchange: Exchange;
  #plain: string | null = null;
  #grams: Set<number> | null = null;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Whether the address stands in what the model was given: then nothing was added to it. */
  has(address: string): boolean {
    return this.#exchange.given.some(({ text }) => text.includes(address));
  }

  /** Whether the caller or the application themselves named the host. One that only a document named is nobody's choice. */
  names(host: string): boolean {
    return this.#exchange.given.some(
      ({ provenance, text }) => (provenance === 'user' || provenance === 'system') && text.toLowerCase().includes(host),
    );
  }

  /** Whether any of the values, as it is, decoded or reversed, holds a stretch of what the model was given. */
  isIn(values: readonly string[]): boolean {
    return values.some((value) => {
      if (value.length < GRAM) return false;
      const forms = [value, decode(value), decodedText(value, GRAM) ?? ''];
      return forms.some((form) => this.#holds(plain(form)) || this.#holds([...plain(form)].reverse().join('')));
    });
  }

  #holds(text: string): boolean {
    if (text.length < GRAM) return false;
    this.#plain ??= plain(
      this.#exchange.given
        .map((given) => given.text)
        .join('\n')
        .slice(0, MOST),
    );
    this.#grams ??= gramsOf(this.#plain);
    let tries = 0;
    for (let at = 0; at + GRAM <= text.length; at++) {
      const gram = text.slice(at, at + GRAM);
      if (!this.#grams.has(hash(gram)) || !/[^0-9]/.test(gram)) continue;
      if (++tries > TRIES || this.#plain.includes(gram)) return true;
    }
    return false;
  }
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');
}

function gramsOf(text: string): Set<number> {
  const grams = new Set<number>();
  for (let at = 0; at + GRAM <= text.length; at++) grams.add(hash(text.slice(at, at + GRAM)));
  return grams;
}

function hash(gram: string): number {
  let value = 0;
  for (let index = 0; index < gram.length; index++) value = (Math.imul(value, 31) + gram.charCodeAt(index)) | 0;
  return value;
}
