/** What a code point can do unseen. */
export const ORDINARY = 0;
export const CONTROL = 1;
export const ZERO_WIDTH = 2;
/** ZERO WIDTH JOINER and NON-JOINER. */
export const JOINER = 3;
/** Directional marks and the soft hyphen: at home in ordinary text, and payload only in number. */
export const MARK = 4;
export const BIDI = 5;
export const BIDI_OVERRIDE = 6;
export const VARIATION = 7;
export const TAG = 8;
export const LONE_SURROGATE = 9;
/** A code unit that has to be looked at together with its neighbour. */
export const SURROGATE = 10;

type Row = readonly [low: number, high: number, kind: number];

/** Invisible code points (Unicode 16, Default_Ignorable_Code_Point and the C0/C1 controls; tab, line ends, form feed and vertical tab are text). */
const ROWS: readonly Row[] = [
  [0x00, 0x08, CONTROL],
  [0x0e, 0x1f, CONTROL],
  [0x7f, 0x84, CONTROL],
  [0x86, 0x9f, CONTROL],
  [0xad, 0xad, MARK],
  [0x34f, 0x34f, ZERO_WIDTH],
  [0x61c, 0x61c, MARK],
  [0x115f, 0x1160, ZERO_WIDTH],
  [0x17b4, 0x17b5, ZERO_WIDTH],
  [0x180b, 0x180d, VARIATION],
  [0x180e, 0x180e, ZERO_WIDTH],
  [0x180f, 0x180f, VARIATION],
  [0x200b, 0x200b, ZERO_WIDTH],
  [0x200c, 0x200d, JOINER],
  [0x200e, 0x200f, MARK],
  [0x202a, 0x202c, BIDI],
  [0x202d, 0x202e, BIDI_OVERRIDE],
  [0x2060, 0x2065, ZERO_WIDTH],
  [0x2066, 0x2069, BIDI],
  [0x206a, 0x206f, ZERO_WIDTH],
  [0x3164, 0x3164, ZERO_WIDTH],
  [0xfe00, 0xfe0f, VARIATION],
  [0xfeff, 0xfeff, ZERO_WIDTH],
  [0xffa0, 0xffa0, ZERO_WIDTH],
  [0xfff0, 0xfffb, ZERO_WIDTH],
  [0xfffe, 0xffff, CONTROL],
  [0x1bca0, 0x1bca3, ZERO_WIDTH],
  [0x1d173, 0x1d17a, ZERO_WIDTH],
  [0xe0000, 0xe007f, TAG],
  [0xe0080, 0xe00ff, ZERO_WIDTH],
  [0xe0100, 0xe01ef, VARIATION],
  [0xe01f0, 0xe0fff, ZERO_WIDTH],
];

/** Kind of every code unit; surrogates are `SURROGATE`. */
export const UNIT_KIND: Uint8Array = new Uint8Array(0x10000);
for (const [low, high, kind] of ROWS) if (high <= 0xffff) UNIT_KIND.fill(kind, low, high + 1);
UNIT_KIND.fill(SURROGATE, 0xd800, 0xe000);

const ASTRAL_ROWS = ROWS.filter(([low]) => low > 0xffff);

/** Kind of a code point; a surrogate that stands alone is `LONE_SURROGATE`. */
export function kindOf(codePoint: number): number {
  if (codePoint <= 0xffff) {
    const kind = UNIT_KIND[codePoint] ?? ORDINARY;
    return kind === SURROGATE ? LONE_SURROGATE : kind;
  }
  return ASTRAL_ROWS.find(([low, high]) => codePoint >= low && codePoint <= high)?.[2] ?? ORDINARY;
}

/** Scripts whose letters take joiners, by their own orthography. */
const JOINING =
  /^[\p{scx=Arab}\p{scx=Syrc}\p{scx=Nko}\p{scx=Mand}\p{scx=Mong}\p{scx=Phag}\p{scx=Mani}\p{scx=Adlm}\p{scx=Rohg}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Tibt}\p{scx=Mymr}\p{scx=Khmr}\p{scx=Bali}\p{scx=Java}\p{scx=Egyp}]$/u;
/** Scripts written without spaces, where ZERO WIDTH SPACE marks a place to break the line. */
const UNSPACED =
  /^[\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}\p{scx=Lana}\p{scx=Talu}\p{scx=Tale}\p{scx=Java}\p{scx=Bali}]$/u;
const EMOJI = /^(?:[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}]|\u20e3)$/u;
const EMOJI_BASE = /^[\p{Emoji}\p{So}\p{Sm}]$/u;
const GLYPH_BASE = /^[\p{scx=Han}\p{scx=Mymr}\p{scx=Phag}\p{scx=Mani}\p{Sm}0\u3001\u3002\uff01\uff0c\uff0e\uff1a\uff1b\uff1f]$/u;
const HAN = /^\p{scx=Han}$/u;
const MONGOLIAN = /^\p{scx=Mong}$/u;

function is(set: RegExp, codePoint: number): boolean {
  return codePoint > 0 && set.test(String.fromCodePoint(codePoint));
}

/** Whether ZWJ or ZWNJ (`joiner`) has its place between two code points (0 where there is none). */
export function joins(joiner: number, before: number, after: number): boolean {
  if (is(JOINING, before) || is(JOINING, after)) return true;
  return joiner === 0x200d && is(EMOJI, before) && is(EMOJI, after);
}

/** Whether a variation selector has its place after a code point (Unicode standardized, emoji and ideographic variation sequences). */
export function varies(base: number, selector: number): boolean {
  if (selector === 0xfe0e || selector === 0xfe0f) return is(EMOJI_BASE, base) || is(GLYPH_BASE, base);
  if (selector >= 0xe0100) return is(HAN, base);
  if (selector <= 0x180f) return is(MONGOLIAN, base);
  return is(GLYPH_BASE, base);
}

/** Whether ZERO WIDTH SPACE has its place between two code points. */
export function breaksWord(before: number, after: number): boolean {
  return is(UNSPACED, before) || is(UNSPACED, after);
}

export const BLACK_FLAG = 0x1f3f4;
/** The emoji tag sequences recommended for general interchange (UTS #51): the flags of England, Scotland and Wales. */
export const FLAG_TAGS: ReadonlySet<string> = new Set(['gbeng', 'gbsct', 'gbwls']);
