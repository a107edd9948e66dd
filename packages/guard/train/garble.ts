import type { Random } from './random.ts';

/** A text as somebody in a hurry types it: letters swapped, left out, doubled or hit beside. */
export function mistype(text: string, random: Random): string {
  return text.replace(/[A-Za-z]{4,}/g, (word) => {
    if (random.next() > 0.3) return word;
    const at = 1 + random.below(word.length - 2);
    switch (random.below(4)) {
      case 0:
        return word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2);
      case 1:
        return word.slice(0, at) + word.slice(at + 1);
      case 2:
        return word.slice(0, at) + word.charAt(at) + word.slice(at);
      default:
        return word.slice(0, at) + String.fromCharCode(97 + random.below(26)) + word.slice(at + 1);
    }
  });
}

/** An ordinary text misspelt, spelled out or encoded: strange, but no attack. */
export function garble(text: string, random: Random): string {
  switch (random.below(8)) {
    case 0:
      return [...text].join(' ');
    case 1:
      return text.replace(/\p{L}+/gu, (word) => [...word].join(random.pick(['-', '.', '_'])));
    case 2:
      return Buffer.from(text).toString('base64');
    case 3:
      return random.next() < 0.5 ? Buffer.from(text).toString('hex') : (Buffer.from(text).toString('hex').match(/../g)?.join(' ') ?? '');
    case 4:
      return [...text].reverse().join('');
    case 5:
      return [...text].map((character) => `&#${character.codePointAt(0)};`).join('');
    case 6:
      return text.replace(/[aeiost]/gi, (letter) => '431057'['aeiost'.indexOf(letter.toLowerCase())] ?? letter);
    default:
      return mistype(text, random);
  }
}
