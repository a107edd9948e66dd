import { TURNED } from './disguises.ts';
import { reversedOf, rot13Of, STRANGENESS } from './letters.ts';
import { hashUnit, weightOf, weightOfFirst } from './misspelling.ts';
import { SIGN_REVERSED, SIGN_ROT13, SIGN_SCRAMBLED, signsOf } from './words.ts';

/** What a stretch of text may hide, as bits. Only what costs next to nothing is looked at: whether it does is for the decoders to say. */
export const MAY_ENCODE = 1;
export const MAY_ESCAPE = 2;
export const MAY_ROT13 = 4;
export const MAY_REVERSE = 8;
export const MAY_TURN = 16;
export const MAY_LEET = 32;
export const MAY_SPELL = 64;
export const MAY_SCRAMBLE = 128;

/** Letters and digits in a row that may be encoded, and where there is a digit among them. */
const RUN = 24;
const RUN_WITH_DIGITS = 16;
/** How often a sign has to be seen in a stretch. */
const ESCAPES = 3;
const ROT13_WORDS = 2;
const REVERSED_WORDS = 3;
/** Words in which one that is misspelt or scrambled counts: in a long text there is always one. */
const SCRAMBLED = 60;
const TURNED_LETTERS = 4;
const MIXED_TOKENS = 3;
const SINGLES = 4;
const SPELLED = 2;
const HEX_PAIRS = 10;
/** Quarters of a nat by which words must have spoken for another order or other letters, less `EXPECTED` a word, before a stretch counts. */
const STRANGE = 60;
const EXPECTED = 3;
/** Most that one word may say, and longest word that says anything: keys and hashes are strange in every way. */
const MOST_STRANGE = 24;
const LONGEST_WORD = 20;

const LETTER = 1;
const DIGIT = 2;
/** Signs that stand for letters or between them. */
const SIGN = 8;
const ESCAPE = 16;
const TURNED_LETTER = 32;

const KIND = new Uint8Array(0x10000);
for (let unit = 0; unit < 26; unit++) {
  KIND[0x41 + unit] = LETTER;
  KIND[0x61 + unit] = LETTER;
}
KIND.fill(DIGIT, 0x30, 0x3a);
for (const sign of '-_.*~@$!|/+') KIND[sign.charCodeAt(0)] = SIGN;
for (const sign of '%&\\') KIND[sign.charCodeAt(0)] = ESCAPE;
for (const letter of TURNED) KIND[letter.charCodeAt(0)] = TURNED_LETTER;

const WEIGHT = Int32Array.from({ length: 128 }, (_, unit) => weightOf(unit | 0x20));

/**
 * Counts the signs of disguises in a text that is read in pieces. A token is a run of letters, digits and signs; `take` says what the tokens
 * since it was last called may mean.
 */
export class Gate {
  /** Of the token under way: hash and sum of its letters and how many; digits in it, whether they stand between letters; signs that do. */
  #hash = 0;
  #sum = 0;
  #letters = 0;
  #digits = 0;
  #mixed = 0;
  #joints = 0;
  /** Kind of the unit before; letters and digits in a row, and whether there are digits among them. */
  #previous = 0;
  #run = 0;
  #runDigits = 0;
  /** Tokens of one letter, and of two letters or digits, in a row. */
  #singles = 0;
  #pairs = 0;
  /** Of the token under way: its last letter, and how strange its letters follow each other. What the words before it add up to, never below 0. */
  #letter = 0;
  #strange = 0;
  #asRot13 = 0;
  #asReversed = 0;
  /** Found since the last `take`. */
  #hits = 0;
  #rot13 = 0;
  #backwards = 0;
  #scrambled = 0;
  #words = 0;
  #mixedTokens = 0;
  #spelled = 0;
  #escapes = 0;
  #turned = 0;

  read(units: Uint16Array, from: number, to: number): void {
    let hash = this.#hash;
    let sum = this.#sum;
    let letters = this.#letters;
    let run = this.#run;
    let previous = this.#previous;
    let last = this.#letter;
    let strange = this.#strange;
    let index = from;
    while (index < to) {
      let unit = units[index] ?? 0;
      const kind = KIND[unit] ?? 0;
      if (kind === LETTER) {
        if (letters === 0) sum = weightOfFirst(unit | 0x20);
        else if (previous === DIGIT) this.#mixed = 1;
        else if (previous === SIGN) this.#joints++;
        const first = index;
        do {
          hash = hashUnit(hash, unit | 0x20);
          // Kept to 32 bits: it counts of short words only, and of a long run it would outgrow them.
          strange = (strange + (STRANGENESS[(last << 5) | (unit & 31)] ?? 0)) | 0;
          last = unit & 31;
          sum = (sum + (WEIGHT[unit] ?? 0)) | 0;
          unit = ++index < to ? (units[index] ?? 0) : 0;
        } while (KIND[unit] === LETTER);
        letters += index - first;
        run += index - first;
        previous = LETTER;
        continue;
      }
      if (kind === DIGIT) {
        run++;
        this.#digits++;
        this.#runDigits = 1;
      } else {
        if (run >= RUN_WITH_DIGITS) this.#endRun(run);
        this.#runDigits = 0;
        run = 0;
        if (kind === ESCAPE) this.#escapes++;
        else if (kind === TURNED_LETTER) this.#turned++;
        else if (kind === 0 && previous !== 0) {
          this.#endToken(hash, sum, letters, (strange + (STRANGENESS[last << 5] ?? 0)) | 0);
          hash = 0;
          sum = 0;
          letters = 0;
          last = 0;
          strange = 0;
        }
      }
      previous = kind;
      index++;
    }
    this.#hash = hash;
    this.#sum = sum;
    this.#letters = letters;
    this.#run = run;
    this.#previous = previous;
    this.#letter = last;
    this.#strange = strange;
  }

  #endRun(run: number): void {
    if (run >= RUN || this.#runDigits !== 0) this.#hits |= MAY_ENCODE;
  }

  #endToken(hash: number, sum: number, letters: number, strange: number): void {
    const digits = this.#digits;
    const length = letters + digits;
    if (letters === 1 && digits === 0) {
      if (++this.#singles >= SINGLES) this.#hits |= MAY_SPELL;
    } else this.#singles = 0;
    if (length === 2) {
      if (++this.#pairs >= HEX_PAIRS) this.#hits |= MAY_ENCODE;
    } else this.#pairs = 0;
    if (this.#mixed !== 0) this.#mixedTokens++;
    // Pieces of less than three letters: a name with dashes in it has longer ones.
    if (this.#joints > 1 && 2 * letters < 5 * this.#joints + 5) this.#spelled++;
    this.#joints = 0;
    this.#mixed = 0;
    this.#digits = 0;
    if (letters < 2) return;
    if (letters <= LONGEST_WORD && digits === 0) this.#weigh(strange);
    this.#words++;
    const signs = signsOf(hash, sum);
    if (signs === 0) return;
    if ((signs & SIGN_ROT13) !== 0) this.#rot13++;
    if ((signs & SIGN_REVERSED) !== 0) this.#backwards++;
    if ((signs & SIGN_SCRAMBLED) !== 0) this.#scrambled++;
  }

  #weigh(strange: number): void {
    this.#asRot13 = Math.max(0, this.#asRot13 + Math.min(MOST_STRANGE, rot13Of(strange)) - EXPECTED);
    if (this.#asRot13 > STRANGE) this.#hits |= MAY_ROT13;
    this.#asReversed = Math.max(0, this.#asReversed + Math.min(MOST_STRANGE, reversedOf(strange)) - EXPECTED);
    if (this.#asReversed > STRANGE) this.#hits |= MAY_REVERSE;
  }

  /** The text ends: so does the token under way. */
  end(): void {
    if (this.#run >= RUN_WITH_DIGITS) this.#endRun(this.#run);
    if (this.#previous !== 0) this.#endToken(this.#hash, this.#sum, this.#letters, this.#strange + (STRANGENESS[this.#letter << 5] ?? 0));
    this.#hash = 0;
    this.#sum = 0;
    this.#letters = 0;
    this.#run = 0;
    this.#runDigits = 0;
    this.#previous = 0;
    this.#letter = 0;
    this.#strange = 0;
  }

  /** What the stretch since the last call may hide, as bits. */
  take(): number {
    // A run that goes on is a sign for both sides.
    if (this.#run >= RUN_WITH_DIGITS) this.#endRun(this.#run);
    let hits = this.#hits;
    if (this.#escapes >= ESCAPES) hits |= MAY_ESCAPE;
    if (this.#rot13 >= ROT13_WORDS) hits |= MAY_ROT13;
    if (this.#backwards >= REVERSED_WORDS) hits |= MAY_REVERSE;
    if (this.#scrambled > 0 && this.#scrambled * SCRAMBLED >= this.#words) hits |= MAY_SCRAMBLE;
    if (this.#turned >= TURNED_LETTERS) hits |= MAY_TURN;
    if (this.#mixedTokens >= MIXED_TOKENS) hits |= MAY_LEET;
    if (this.#spelled >= SPELLED) hits |= MAY_SPELL;
    this.#hits = 0;
    this.#rot13 = 0;
    this.#backwards = 0;
    this.#scrambled = 0;
    this.#words = 0;
    this.#mixedTokens = 0;
    this.#spelled = 0;
    this.#escapes = 0;
    this.#turned = 0;
    return hits;
  }

  reset(): void {
    this.follow(FRESH);
  }

  /** Goes on where another one is. */
  follow(other: Gate): void {
    this.#hash = other.#hash;
    this.#sum = other.#sum;
    this.#letters = other.#letters;
    this.#digits = other.#digits;
    this.#mixed = other.#mixed;
    this.#joints = other.#joints;
    this.#runDigits = other.#runDigits;
    this.#previous = other.#previous;
    this.#run = other.#run;
    this.#singles = other.#singles;
    this.#pairs = other.#pairs;
    this.#letter = other.#letter;
    this.#strange = other.#strange;
    this.#asRot13 = other.#asRot13;
    this.#asReversed = other.#asReversed;
    this.#hits = other.#hits;
    this.#rot13 = other.#rot13;
    this.#backwards = other.#backwards;
    this.#scrambled = other.#scrambled;
    this.#words = other.#words;
    this.#mixedTokens = other.#mixedTokens;
    this.#spelled = other.#spelled;
    this.#escapes = other.#escapes;
    this.#turned = other.#turned;
  }
}

const FRESH = new Gate();
