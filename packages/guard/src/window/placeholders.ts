/** What `[LABEL_n]` looks like; `label` is upper case letters, digits and `_`. */
const PLACEHOLDER = /\[[A-Z][A-Z0-9_]{0,38}_\d{1,6}\]/g;

/** Gives the values of a label their numbers. */
export interface Numbering {
  /** The same number for the same value. */
  number(label: string, value: string): number;
}

/**
 * What stands in for the personal values of one exchange, and for which value. It lives as long as the exchange and is never written
 * anywhere. While the request is inspected it grows, text by text; for the reply it is only read, so that the reply does not depend on
 * how it is cut or on which of several choices comes first.
 */
export class Placeholders implements Numbering {
  readonly #numbers = new Map<string, Numbered>();
  #originals: Map<string, string> | null = null;
  #values: Set<string> | null = null;
  #reserved: Set<string> | null = null;

  /** Placeholders that a text of the request holds already: they are somebody's words, and must not come to stand for a value. */
  reserve(text: string): void {
    if (!text.includes('[')) return;
    for (const [written] of text.matchAll(PLACEHOLDER)) {
      this.#reserved ??= new Set();
      this.#reserved.add(written);
    }
  }

  /** Whether a reply may hold something to put back. */
  get restores(): boolean {
    return this.#originals !== null;
  }

  number(label: string, value: string): number {
    let numbered = this.#numbers.get(label);
    if (numbered === undefined) {
      numbered = new Numbered(0);
      this.#numbers.set(label, numbered);
    }
    return numbered.of(value, (number) => this.#reserved?.has(`[${label}_${number}]`) === true);
  }

  /** The placeholder of a value that the reply is to have back exactly as it is here. */
  token(label: string, value: string): string {
    const token = `[${label}_${this.number(label, value)}]`;
    this.#originals ??= new Map();
    this.#originals.set(token, value);
    this.#values ??= new Set();
    this.#values.add(value.toLowerCase());
    return token;
  }

  /** What a placeholder of this exchange stands for; undefined for any other. */
  original(token: string): string | undefined {
    return this.#originals?.get(token);
  }

  /** Whether the caller sent this value itself, to have it back: no reason to hide it from the caller. */
  owns(value: string): boolean {
    return this.#values?.has(value.toLowerCase()) === true;
  }

  /** Numbers for one text of the reply: those of the request, and further ones that only this text knows. */
  fork(): Numbering {
    const own = new Map<string, Numbered>();
    return {
      number: (label, value) => {
        const known = this.#numbers.get(label);
        const number = known?.values.get(value);
        if (number !== undefined) return number;
        let numbered = own.get(label);
        if (numbered === undefined) {
          numbered = new Numbered(known?.last ?? 0);
          own.set(label, numbered);
        }
        return numbered.of(value, () => false);
      },
    };
  }
}

/** The values of one label. */
class Numbered {
  readonly values = new Map<string, number>();
  last: number;

  constructor(last: number) {
    this.last = last;
  }

  of(value: string, isTaken: (number: number) => boolean): number {
    const known = this.values.get(value);
    if (known !== undefined) return known;
    do this.last++;
    while (isTaken(this.last));
    this.values.set(value, this.last);
    return this.last;
  }
}
