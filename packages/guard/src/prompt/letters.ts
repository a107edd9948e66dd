import { Folder } from '../normalise/folder.ts';
import { pieceOf } from '../window/piece.ts';

/**
 * What is compared: letters and digits, those of ASCII in lower case. Spaces, punctuation and the signs of Markdown are left out, so spreading
 * a text out or dressing it up changes nothing. Of folded text, unit by unit; 0 for a unit that is left out.
 */
export function letterOf(unit: number): number {
  return unit < 0x80 ? (ASCII[unit] ?? 0) : unit < 0xc0 || isSign(unit) ? 0 : unit;
}

const ASCII: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  return /[0-9a-z]/i.test(character) ? character.toLowerCase().charCodeAt(0) : 0;
});

/** Punctuation and signs, halves of surrogate pairs, and what has no look of its own. */
function isSign(unit: number): boolean {
  return (unit >= 0x2000 && unit < 0x2c00) || (unit >= 0x3000 && unit < 0x3040) || (unit >= 0xd800 && unit < 0xf900) || unit >= 0xfe00;
}

/** The letters of a text, folded first. */
export function lettersOf(text: string): Uint16Array {
  const folded = new Folder().push(pieceOf(text));
  return lettersOfUnits(folded.units, folded.length);
}

/** The letters of text that is ASCII already. */
export function lettersOfAscii(text: string): Uint16Array {
  const { units, length } = pieceOf(text);
  return lettersOfUnits(units, length);
}

function lettersOfUnits(units: Uint16Array, length: number): Uint16Array {
  const letters = new Uint16Array(length);
  let count = 0;
  for (let index = 0; index < length; index++) {
    const letter = letterOf(units[index] ?? 0);
    if (letter !== 0) letters[count++] = letter;
  }
  return letters.subarray(0, count);
}

/** Letters of scripts that need few of them for a sentence. */
export function isDense(letter: number): boolean {
  return letter >= 0x3040 && letter < 0xd800;
}
