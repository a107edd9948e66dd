import { createHmac } from 'node:crypto';
import type { Label } from '../detect/detector.ts';
import { type Numbering, Placeholders } from './placeholders.ts';

/** Hexadecimal digits of a hash: 64 bits, so that two values of one installation do not meet by chance. */
const HASH_DIGITS = 16;

/** Gives the values that are taken out of one text their names. */
export class Naming {
  readonly #hashKey: Uint8Array;
  readonly #isReply: boolean;
  readonly #json: boolean;
  /** Where tokens are made; null in a reply, which makes none. */
  #tokens: Placeholders | null = null;
  #numbering: Numbering | null = null;

  /** @param json whether the text may be JSON source, in whose strings values are escaped */
  constructor(isReply: boolean, json: boolean, hashKey: Uint8Array) {
    this.#isReply = isReply;
    this.#json = json;
    this.#hashKey = hashKey;
  }

  /** Begins with a text of an exchange; with null one that stands alone. */
  begin(exchange: Placeholders | null): void {
    this.#tokens = this.#isReply ? null : exchange;
    this.#numbering = this.#isReply && exchange !== null ? exchange.fork() : exchange;
  }

  /** What stands in place of a value. Nothing puts back a token where there is no exchange: it is a mask there. */
  nameOf({ label, form }: Label, value: string): string {
    if (form === 'token' && this.#tokens !== null) return this.#tokens.token(label, this.#json ? unescaped(value) : value);
    const plain = comparable(value);
    if (form === 'hash') {
      const digest = createHmac('sha256', this.#hashKey).update(`${label}\n${plain}`).digest('hex');
      return `[${label}_${digest.slice(0, HASH_DIGITS)}]`;
    }
    this.#numbering ??= new Placeholders();
    return `[${label}_${this.#numbering.number(label, plain)}]`;
  }
}

/** The same value in other clothes: numbers are written with all kinds of separators. */
function comparable(value: string): string {
  const folded = value.normalize('NFKC').toLowerCase();
  return /\p{L}/u.test(folded) ? folded : folded.replace(/[\s.()/-]/g, '');
}

/** The value that a piece of a JSON string stands for, or the piece itself where it is cut within an escape. */
function unescaped(piece: string): string {
  if (!piece.includes('\\')) return piece;
  try {
    const value: unknown = JSON.parse(`"${piece}"`);
    return typeof value === 'string' ? value : piece;
  } catch {
    return piece;
  }
}
