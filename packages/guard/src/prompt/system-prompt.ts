import { hash as digest } from 'node:crypto';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import type { Exchange } from '../exchange.ts';
import type { TextContext } from '../guard.ts';
import { MAX_PIECE, type Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import { letterOf, lettersOf } from './letters.ts';
import { Print, passes, roll } from './print.ts';

/** Letters that are remembered: at least as many as the longest n-gram has. */
const RING = 16;
/** Units of a passage that are held back at most; a longer one is reported in parts. */
const LONGEST = 4_096;
/** Letters of a passage that count once a text has leaked: its rest is not given out in smaller pieces. */
const AFTERWARDS = 20;
/** Letters without a gap from which on the text may be an encoding of another; two digits among the last twelve letters say so too. */
const UNBROKEN = 16;
/** Letters that may match beyond what the user said. */
const BY_CHANCE = 8;
/** Letters of prompts whose prints are kept. */
const MEMORY = 200_000;

/**
 * The system prompt in a reply: the exchange's canary, or a passage of the prompt that Sallyport or the client put in, letter by letter,
 * whatever stands between the letters, or encoded, reversed or in ROT13. Nothing waits as long as nothing is repeated; from the twelfth
 * letter of a repetition on the text is held back until it ends or is long enough to be a leak.
 */
export class SystemPromptDetector implements Detector {
  readonly #action: Action;
  /** Prints by the SHA-256 of what they are of: most exchanges have the system prompt of the one before. */
  readonly #prints = new Map<string, Print | null>();
  #kept = 0;
  readonly #known = new WeakMap<Exchange, readonly Secret[]>();

  constructor(action: Action) {
    this.#action = action;
  }

  open(tape: Tape, context: TextContext): Scanner {
    const scanner = new SystemPromptScanner(tape, this.#action, (exchange) => this.#printsOf(exchange));
    scanner.reset(context);
    return scanner;
  }

  #printsOf(exchange: Exchange): readonly Secret[] {
    let prints = this.#known.get(exchange);
    if (prints === undefined) {
      prints = this.#makePrints(exchange);
      this.#known.set(exchange, prints);
    }
    return prints;
  }

  #makePrints({ given, prompt, canary }: Exchange): Secret[] {
    const prints: Secret[] = [];
    if (canary !== null) prints.push({ print: Print.ofCanary(canary), text: canary });
    const spoken = given.filter(({ provenance }) => provenance === 'system').map(({ text }) => text);
    for (const text of [prompt, spoken.length === 0 ? null : spoken.join('\n')]) {
      if (text === null) continue;
      const print = this.#printOf(text);
      if (print !== null) prints.push({ print, text });
    }
    return prints;
  }

  #printOf(text: string): Print | null {
    const key = digest('sha256', text.toWellFormed(), 'base64');
    const known = this.#prints.get(key);
    if (known !== undefined) return known;
    const print = Print.of(text);
    if (this.#kept > MEMORY) {
      this.#prints.clear();
      this.#kept = 0;
    }
    this.#prints.set(key, print);
    this.#kept += print?.letters ?? 0;
    return print;
  }
}

/** What must not be told, beside its print; the print may outlive the exchange, the text does not. */
interface Secret {
  readonly print: Print;
  readonly text: string;
}

/** One print beside the text: how long what was read last repeats it, as it is and in another form. */
interface Follower extends Secret {
  hash: number;
  /** N-grams in a row that matched, and where the first of them was complete. */
  plain: number;
  plainStart: number;
  coded: number;
  codedStart: number;
  leaked: boolean;
}

/** What is remembered of the text beside its followers. */
interface Progress {
  length: number;
  letters: number;
  unbroken: number;
  /** Whether each of the last letters was a digit, newest in the lowest bit. */
  digits: number;
  mayBeEncoded: boolean;
  /** End of the last letter. */
  end: number;
}

const START: Progress = { length: 0, letters: 0, unbroken: 0, digits: 0, mayBeEncoded: false, end: 0 };

/** The letters of the piece under way, after the last ones before it, and where each ends in the text. Used again by every scanner. */
const letters = new Uint16Array(RING + MAX_PIECE);
const ends = new Float64Array(RING + MAX_PIECE);

class SystemPromptScanner implements Scanner {
  readonly #tape: Tape;
  readonly #action: Action;
  readonly #printsOf: (exchange: Exchange) => readonly Secret[];
  #exchange: Exchange | null = null;
  /** Letters of what the user said; made when first asked for. */
  #said: string | null = null;
  #followers: Follower[] = [];
  #progress: Progress = { ...START };
  /** The last letters, the newest at the end. */
  readonly #last = new Uint16Array(RING);
  #marked: { readonly followers: readonly Follower[]; readonly progress: Progress } | null = null;
  readonly #markedLast = new Uint16Array(RING);

  constructor(tape: Tape, action: Action, printsOf: (exchange: Exchange) => readonly Secret[]) {
    this.#tape = tape;
    this.#action = action;
    this.#printsOf = printsOf;
  }

  reset({ exchange }: TextContext): void {
    this.#exchange = exchange ?? null;
    this.#said = null;
    const prints = exchange === undefined ? [] : this.#printsOf(exchange);
    this.#followers = prints.map((secret) => ({ ...secret, hash: 0, plain: 0, plainStart: 0, coded: 0, codedStart: 0, leaked: false }));
    this.#progress = { ...START };
    this.#last.fill(0);
    this.#marked = null;
  }

  get pending(): number {
    let pending = this.#followers.length === 0 ? Number.POSITIVE_INFINITY : this.#progress.length;
    for (const { plain, plainStart, coded, codedStart } of this.#followers) {
      if (plain > 0) pending = Math.min(pending, plainStart);
      if (coded > 0) pending = Math.min(pending, codedStart);
    }
    return pending;
  }

  mark(): void {
    if (this.#followers.length === 0) return;
    const followers = this.#followers.map((follower) => ({ ...follower }));
    this.#marked = { followers, progress: { ...this.#progress } };
    this.#markedLast.set(this.#last);
  }

  rewind(): void {
    if (this.#marked === null) return;
    this.#followers = this.#marked.followers.map((follower) => ({ ...follower }));
    this.#progress = { ...this.#marked.progress };
    this.#last.set(this.#markedLast);
  }

  push({ units, length }: Piece, hits: Hit[]): void {
    if (this.#followers.length === 0) return;
    const progress = this.#progress;
    letters.set(this.#last);
    let count = RING;
    let encodedFrom = progress.mayBeEncoded ? count : Number.POSITIVE_INFINITY;
    for (let index = 0; index < length; index++) {
      const unit = units[index] ?? 0;
      const letter = letterOf(unit);
      if (letter === 0) {
        if (unit <= 32) progress.unbroken = 0;
        continue;
      }
      if (!progress.mayBeEncoded) {
        progress.unbroken++;
        progress.digits = ((progress.digits << 1) | (letter >= 48 && letter <= 57 ? 1 : 0)) & 0xfff;
        // At least two digits among the last letters.
        if (progress.unbroken >= UNBROKEN || (progress.digits & (progress.digits - 1)) !== 0) {
          progress.mayBeEncoded = true;
          encodedFrom = count;
        }
      }
      letters[count] = letter;
      ends[count] = progress.length + index + 1;
      count++;
    }
    const before = progress.end;
    for (const follower of this.#followers) this.#follow(follower, count, before, encodedFrom, hits);
    progress.length += length;
    progress.letters += count - RING;
    if (count > RING) progress.end = ends[count - 1] ?? 0;
    for (let index = 0; index < RING; index++) this.#last[index] = letters[count - RING + index] ?? 0;
  }

  end(hits: Hit[]): void {
    const { length, end } = this.#progress;
    for (const follower of this.#followers) {
      this.#endPlain(follower, end, length + 1, hits);
      this.#endCoded(follower, end, length + 1, hits);
    }
  }

  /** Shows a follower `letters` from `RING` to `count`; `before` is where the letter before them ended. */
  #follow(follower: Follower, count: number, before: number, encodedFrom: number, hits: Hit[]): void {
    const { print } = follower;
    const { filter, power } = print;
    const { gram } = print.measure;
    if (encodedFrom < count) print.encode(follower.text);
    const first = gram - 1 - this.#progress.letters + RING;
    let { hash } = follower;
    for (let index = RING; index < count; index++) {
      hash = roll(hash, letters[index] ?? 0, letters[index - gram] ?? 0, power);
      const mayMatch = passes(filter, hash) && index >= first;
      if (!mayMatch && follower.plain === 0 && follower.coded === 0) continue;
      const at = ends[index] ?? 0;
      const end = index === RING ? before : (ends[index - 1] ?? 0);
      if (mayMatch && print.hasPlain(hash)) {
        if (follower.plain++ === 0) follower.plainStart = at - 1;
        if (this.#isDue(follower, follower.plain, at - follower.plainStart, print.measure.plain)) this.#reportPlain(follower, at, at, hits);
      } else this.#endPlain(follower, end, at, hits);
      if (mayMatch && (print.hasTwisted(hash) || (index >= encodedFrom && print.hasEncoded(hash)))) {
        if (follower.coded++ === 0) follower.codedStart = at - 1;
        if (this.#isDue(follower, follower.coded, at - follower.codedStart, print.measure.coded)) this.#reportCoded(follower, at, at, hits);
      } else this.#endCoded(follower, end, at, hits);
    }
    follower.hash = hash;
  }

  /** Whether a run need not be awaited to its end: a block is certain, or it is as long as may be held. */
  #isDue(follower: Follower, run: number, units: number, needed: number): boolean {
    return this.#isLeak(follower, run, needed) && (this.#action === 'block' || units >= LONGEST);
  }

  #isLeak({ print, leaked }: Follower, run: number, needed: number): boolean {
    return run + print.measure.gram - 1 >= (leaked ? Math.min(needed, AFTERWARDS) : needed);
  }

  #endPlain(follower: Follower, end: number, at: number, hits: Hit[]): void {
    if (follower.plain === 0) return;
    if (this.#isLeak(follower, follower.plain, follower.print.measure.plain)) this.#reportPlain(follower, end, at, hits);
    follower.plain = 0;
  }

  #endCoded(follower: Follower, end: number, at: number, hits: Hit[]): void {
    if (follower.coded === 0) return;
    if (this.#isLeak(follower, follower.coded, follower.print.measure.coded)) this.#reportCoded(follower, end, at, hits);
    follower.coded = 0;
  }

  /** A passage that the user said first is their own. */
  #reportPlain(follower: Follower, end: number, at: number, hits: Hit[]): void {
    const { plainStart, print } = follower;
    // Counting begins anew: what follows is judged by itself.
    follower.plainStart = end;
    follower.plain = 1;
    if (print.category !== 'canary' && this.#saidUser(this.#tape.slice(plainStart, end))) return;
    this.#report(follower, print.category, plainStart, end, at, hits);
  }

  #reportCoded(follower: Follower, end: number, at: number, hits: Hit[]): void {
    const { codedStart, print } = follower;
    follower.codedStart = end;
    follower.coded = 1;
    this.#report(follower, `encoded-${print.category}`, codedStart, end, at, hits);
  }

  #report(follower: Follower, category: string, start: number, end: number, at: number, hits: Hit[]): void {
    follower.leaked = true;
    if (end <= start) return;
    const replacement = '[SYSTEM PROMPT]';
    hits.push({ start, end, at, detector: 'system-prompt', category, severity: 'high', action: this.#action, replacement });
  }

  #saidUser(passage: string): boolean {
    this.#said ??= (this.#exchange?.given ?? [])
      .filter(({ provenance }) => provenance === 'user')
      .map(({ text }) => stringOf(lettersOf(text)))
      .join('\n');
    // The first letters after the user's words may be the prompt's next ones by chance.
    const letters = stringOf(lettersOf(passage));
    return this.#said.includes(letters.slice(0, Math.max(1, letters.length - BY_CHANCE)));
  }
}

function stringOf(letters: Uint16Array): string {
  let text = '';
  for (let from = 0; from < letters.length; from += 8_192) text += String.fromCharCode(...letters.subarray(from, from + 8_192));
  return text;
}
