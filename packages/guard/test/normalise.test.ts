import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DenyPattern } from '@sallyport/core';
import fc from 'fast-check';
import { compileGuard } from '../src/index.ts';
import { Folder } from '../src/normalise/folder.ts';
import { pieceOf } from '../src/window/piece.ts';
import { cutAtRandom, cutByMask, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

function guardOf(action: DenyPattern['action'], ...patterns: readonly string[]) {
  const deny = patterns.map(
    (pattern, i): DenyPattern => ({ name: `d${i}`, pattern, ignoreCase: true, stages: ['input', 'output'], action }),
  );
  return compileGuard({ ...SETTINGS, input: ['normalise'], output: ['normalise'], deny });
}

const shifted = (text: string, capital: number, small: number): string =>
  text
    .replace(/[A-Z]/g, (c) => String.fromCodePoint(c.charCodeAt(0) - 65 + capital))
    .replace(/[a-z]/g, (c) => String.fromCodePoint(c.charCodeAt(0) - 97 + small));

const DISGUISES: readonly (readonly [string, (text: string) => string])[] = [
  ['zero-width', (text) => [...text].join('\u200b')],
  ['word joiners and soft hyphens', (text) => [...text].join('\u2060\u00ad')],
  ['look-alike letters', (text) => text.replace(/[aeocpxy]/g, (c) => 'аеосрху'.charAt('aeocpxy'.indexOf(c)))],
  ['full width', (text) => text.replace(/[a-zA-Z]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0))],
  ['diacritics', (text) => [...text].map((c) => `${c}\u0336\u0301`).join('')],
  ['precomposed accents', (text) => text.replace(/e/g, 'é').replace(/o/g, 'õ').replace(/a/g, 'å')],
  ['mathematical bold', (text) => shifted(text, 0x1d400, 0x1d41a)],
  ['mathematical script', (text) => shifted(text, 0x1d4d0, 0x1d4ea)],
  ['mathematical monospace', (text) => shifted(text, 0x1d670, 0x1d68a)],
  ['circled', (text) => shifted(text, 0x24b6, 0x24d0)],
  ['negative squared', (text) => shifted(text.toUpperCase(), 0x1f170, 0)],
  ['variation selectors', (text) => [...text].map((c) => `${c}\ufe0f`).join('')],
  ['tags in between', (text) => [...text].join('\u{e0041}')],
  ['bidi controls', (text) => [...text].join('\u202d')],
  ['control characters', (text) => [...text].join('\u0008')],
];

describe('patterns behind disguises', () => {
  const guard = guardOf('redact', '\\bproject zeus\\b');
  for (const [name, disguise] of DISGUISES) {
    test(`${name}: found, at its place in the original`, () => {
      const word = disguise('Project Zeus');
      const text = `🙂 about ${word}, naïve question`;
      const start = text.indexOf(word);
      const verdict = guard.inspect(text, INPUT);
      assert.equal(verdict.effect, 'redact');
      const finding = verdict.effect === 'redact' ? verdict.findings[0] : undefined;
      assert.equal(finding?.start, start);
      assert.ok((finding?.end ?? 0) <= start + word.length && (finding?.end ?? 0) > start + word.length - 4);
      const whole = readPieces(guard, OUTPUT, [text]);
      const random = seeded(5);
      for (let cut = 0; cut < 30; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, 1 + (cut % 9), random)), whole);
      assert.equal(whole.released.startsWith('🙂 about [REDACTED]'), true);
    });
  }

  test('an undisguised match is reported once', () => {
    const verdict = guard.inspect('naïve project zeus café', INPUT);
    assert.equal(verdict.effect === 'redact' && verdict.findings.length, 1);
  });

  test('a word of another script that looks alike is not the word', () => {
    const cop = guardOf('block', '\\bcop\\b');
    assert.equal(cop.inspect('Выбросили сор из избы', INPUT).effect, 'pass');
    assert.equal(cop.inspect('the cоp', INPUT).effect, 'block');
  });

  test('an invisible neighbour does not hide where a word begins', () => {
    const blocking = guardOf('block', '\\bproject zeus\\b');
    for (const text of ['see \ufe0fproject zeus.', 'see project zeus\u0301.']) {
      assert.equal(blocking.inspect(text, INPUT).effect, 'block');
      const whole = readPieces(blocking, OUTPUT, [text]);
      for (let mask = 1; mask < 1 << 12; mask += 7) assert.deepEqual(readPieces(blocking, OUTPUT, cutByMask(text, mask)), whole);
    }
  });

  test('without normalise only the plain word is found', () => {
    const plain = compileGuard({
      ...SETTINGS,
      input: [],
      deny: [{ name: 'x', pattern: 'zeus', ignoreCase: true, stages: ['input'], action: 'block' }],
    });
    assert.equal(plain.inspect('ｚeus', INPUT).effect, 'pass');
  });
});

describe('folding', () => {
  const unit = fc.constantFrom(
    'a',
    'Z',
    'é',
    'ﬁ',
    '①',
    '½',
    '\u200b',
    '\u0301',
    'а',
    '𝐀',
    '🅰',
    '😀',
    '漢',
    '한',
    'か\u3099',
    'क्‍ष',
    '\0',
    '\uffff',
    '\ud800',
    '…',
  );

  test('the offset map points every unit at the code point it came from, for every cut', () => {
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), fc.nat(), (text, mask) => {
        const whole = new Folder();
        const folded = whole.push(pieceOf(text)).text;
        const cut = new Folder();
        const pieces = cutByMask(text, mask & 0xfff).filter((piece) => piece.isWellFormed() || piece === text);
        fc.pre(pieces.join('') === text);
        assert.equal(pieces.map((piece) => cut.push(pieceOf(piece)).text).join(''), folded);
        let last = 0;
        for (let at = 0; at < folded.length; at++) {
          const start = whole.startOf(at);
          const end = whole.endOf(at + 1);
          assert.ok(start >= last && end > start && end <= text.length);
          assert.equal(new Folder().push(pieceOf(text.slice(start, end))).text.includes(folded.charAt(at)), true);
          assert.deepEqual([cut.startOf(at), cut.endOf(at + 1)], [start, end]);
          last = start;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('spelling of other scripts is kept', () => {
    for (const text of ['한국어', 'がぎぐ', 'हिन्दी', 'ไทย', 'العربية', 'עברית', '漢字'])
      assert.equal(new Folder().push(pieceOf(text)).text, text);
  });

  test('verdicts do not depend on the cut', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'á', 'ｂ', '\u200b', '𝐚', 'ﬁ', ' ', 'f', 'i', '\ud835', 'b'), maxLength: 9 });
    const patterns = fc.array(fc.constantFrom('ab', 'b+a', '\\bfi\\b', 'a.b', 'aa|b b'), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(patterns, fc.constantFrom<DenyPattern['action']>('block', 'redact', 'flag'), texts, (list, action, text) => {
        fc.pre(text.length <= 11);
        const guard = guardOf(action, ...list);
        const whole = readPieces(guard, OUTPUT, [text]);
        for (let mask = 1; mask < 1 << Math.max(0, text.length - 1); mask++)
          assert.deepEqual(readPieces(guard, OUTPUT, cutByMask(text, mask)), whole);
      }),
      { numRuns: 150 },
    );
  });
});
