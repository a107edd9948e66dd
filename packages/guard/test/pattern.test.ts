import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PatternError } from '../src/pattern/parse.ts';
import { byPlace, type Pattern, type PatternMatch, PatternSet, type PatternSetOptions } from '../src/pattern/pattern-set.ts';

type Span = readonly [pattern: number, start: number, end: number];

function spans(matches: readonly PatternMatch[]): Span[] {
  return matches.toSorted(byPlace).map(({ pattern, start, end }) => [pattern, start, end]);
}

function matchPieces(set: PatternSet, pieces: readonly string[]): PatternMatch[] {
  const matcher = set.open();
  const out: PatternMatch[] = [];
  let read = 0;
  let pending = 0;
  for (const piece of pieces) {
    const fresh = matcher.push(piece);
    read += piece.length;
    for (const match of fresh) assert.ok(match.start >= pending, 'a match starts before what was said to be decided');
    assert.ok(matcher.pending >= pending && matcher.pending <= read);
    pending = matcher.pending;
    out.push(...fresh);
  }
  const last = matcher.end();
  for (const match of last) assert.ok(match.start >= pending);
  return [...out, ...last];
}

/** Leftmost-longest, non-overlapping matches by trying every start and every end with the backtracking engine. */
function oracle(sources: readonly string[], flags: string, text: string): Span[] {
  const out: Span[] = [];
  sources.forEach((source, pattern) => {
    const byEnd = Array.from(
      { length: text.length + 1 },
      (_, end) => new RegExp(`(?:${source})(?=[^]{${text.length - end}}$)`, `y${flags}`),
    );
    const matches = (start: number, end: number): boolean => {
      const regex = byEnd[end];
      if (regex === undefined) return false;
      regex.lastIndex = start;
      return regex.test(text);
    };
    let start = 0;
    while (start < text.length) {
      let end = text.length;
      while (end > start && !matches(start, end)) end--;
      if (end > start) out.push([pattern, start, end]);
      start = Math.max(end, start + 1);
    }
  });
  return out.sort((a, b) => a[1] - b[1] || a[2] - b[2] || a[0] - b[0]);
}

const atom = fc.constantFrom('a', 'b', 'c', '.', '[ab]', '[^a]', '\\w', '\\d', '\\s', '1', ' ');
const assertion = fc.constantFrom('\\b', '\\B', '^', '$');
const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{2,}');
const { pattern: patternSource } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 3 },
    { weight: 5, arbitrary: fc.tuple(atom, quantifier).map(([a, q]) => a + q) },
    { weight: 1, arbitrary: assertion },
    { weight: 2, arbitrary: fc.tuple(tie('pattern'), quantifier).map(([p, q]) => `(${p})${q}`) },
  ),
  pattern: fc.oneof(
    { maxDepth: 3 },
    { weight: 4, arbitrary: fc.array(tie('piece'), { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join('')) },
    { weight: 1, arbitrary: fc.tuple(tie('pattern'), tie('pattern')).map(([p, q]) => `${p}|${q}`) },
  ),
}));
const smallText = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', 'a', 'b'), maxLength: 14 });

function build(sources: readonly string[], options: PatternSetOptions = {}, more: Partial<Pattern> = {}): PatternSet | null {
  try {
    return new PatternSet(
      sources.map((source) => ({ source, ...more })),
      options,
    );
  } catch (error) {
    if (error instanceof PatternError) return null;
    throw error;
  }
}

function cutsOf(text: string, mask: number): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (let i = 1; i < text.length; i++) {
    if ((mask >> (i - 1)) & 1) {
      pieces.push(text.slice(from, i));
      from = i;
    }
  }
  pieces.push(text.slice(from));
  return pieces;
}

describe('pattern engine against a brute-force oracle', () => {
  test('one pattern: leftmost-longest, non-overlapping', () => {
    fc.assert(
      fc.property(patternSource, smallText, (source, text) => {
        const set = build([source]);
        fc.pre(set !== null);
        assert.deepEqual(spans(set.matchAll(text)), oracle([source], '', text));
      }),
      { numRuns: 4000 },
    );
  });

  test('several patterns in one automaton do not disturb each other', () => {
    fc.assert(
      fc.property(fc.array(patternSource, { minLength: 2, maxLength: 4 }), smallText, (sources, text) => {
        const set = build(sources);
        fc.pre(set !== null);
        assert.deepEqual(spans(set.matchAll(text)), oracle(sources, '', text));
      }),
      { numRuns: 1500 },
    );
  });

  test('a tiny state cache changes nothing', () => {
    fc.assert(
      fc.property(fc.array(patternSource, { minLength: 1, maxLength: 3 }), smallText, smallText, (sources, text, other) => {
        const set = build(sources, { maxStates: 4 });
        fc.pre(set !== null);
        const held = set.open();
        const first = held.push(text);
        set.matchAll(other);
        const rest = [...held.push(other), ...held.end()];
        assert.deepEqual(spans([...first, ...rest]), oracle(sources, '', text + other));
      }),
      { numRuns: 1500 },
    );
  });

  test('case-insensitive', () => {
    fc.assert(
      fc.property(patternSource, fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'B', 'C', ' '), maxLength: 12 }), (source, text) => {
        const set = build([source], {}, { ignoreCase: true });
        fc.pre(set !== null);
        assert.deepEqual(spans(set.matchAll(text)), oracle([source], 'i', text));
      }),
      { numRuns: 800 },
    );
  });
});

describe('pattern engine on streams', () => {
  test('every cut of a short text gives the same matches at the same moment', () => {
    fc.assert(
      fc.property(
        fc.array(patternSource, { minLength: 1, maxLength: 3 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '1', ' '), minLength: 1, maxLength: 8 }),
        fc.integer({ min: 2, max: 6 }),
        fc.constantFrom<'match' | 'drop'>('match', 'drop'),
        (sources, text, maxMatch, overlong) => {
          const set = build(sources, { maxMatch }, { overlong });
          fc.pre(set !== null);
          const whole = set.matchAll(text);
          for (let mask = 0; mask < 1 << (text.length - 1); mask++) {
            assert.deepEqual(matchPieces(set, cutsOf(text, mask)).sort(byPlace), whole);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('mark and rewind restore the moment', () => {
    fc.assert(
      fc.property(fc.array(patternSource, { minLength: 1, maxLength: 3 }), smallText, smallText, smallText, (sources, a, b, c) => {
        const set = build(sources);
        fc.pre(set !== null);
        const matcher = set.open();
        const first = matcher.push(a);
        matcher.mark();
        matcher.push(b);
        matcher.rewind();
        assert.deepEqual(spans([...first, ...matcher.push(c), ...matcher.end()]), spans(set.matchAll(a + c)));
      }),
      { numRuns: 500 },
    );
  });

  test('pending points at what is still mid-match and nowhere before', () => {
    const set = new PatternSet([{ source: 'abc' }, { source: 'bx+y' }]);
    const matcher = set.open();
    matcher.push('zzz');
    assert.equal(matcher.pending, 3);
    matcher.push('a');
    assert.equal(matcher.pending, 3);
    matcher.push('b');
    assert.equal(matcher.pending, 3);
    matcher.push('x');
    assert.equal(matcher.pending, 4);
    matcher.push('xxxx');
    assert.equal(matcher.pending, 4);
    assert.deepEqual(spans(matcher.push('y')), [[1, 4, 11]]);
    assert.equal(matcher.pending, 11);
  });

  test('an overlong candidate counts as a match at the cap, or is dropped', () => {
    const text = `<${'x'.repeat(30)}>`;
    const strict = new PatternSet([{ source: '<[^>]*>' }], { maxMatch: 10 });
    assert.deepEqual(spans(strict.matchAll(text)), [[0, 0, 10]]);
    const lenient = new PatternSet([{ source: '<[^>]*>', overlong: 'drop' }], { maxMatch: 10 });
    assert.deepEqual(spans(lenient.matchAll(text)), []);
    const matcher = strict.open();
    for (const unit of `ab<${'x'.repeat(100)}`) {
      matcher.push(unit);
    }
    assert.equal(matcher.pending, 103);
  });

  test('an urgent pattern reports at the first certain unit and stops', () => {
    const set = new PatternSet([{ source: 'ab+', urgent: true }, { source: 'b' }]);
    const matcher = set.open();
    const matches = matcher.push('xabbbb');
    assert.deepEqual(matches, [{ pattern: 0, start: 1, end: 3, at: 3 }]);
    assert.equal(matcher.stopped, true);
    assert.deepEqual(matcher.push('abbb'), []);
  });
});

describe('pattern syntax', () => {
  const refused: readonly (readonly [string, RegExp, number])[] = [
    ['(a)\\1', /back-references/, 3],
    ['a(?=b)', /look-ahead/, 1],
    ['(?<!a)b', /look-ahead and look-behind/, 0],
    ['a*?b', /lazy/, 2],
    ['a**', /quantifier follows/, 2],
    ['*a', /nothing to repeat/, 0],
    ['(a', /not closed/, 0],
    ['a)', /unmatched/, 1],
    ['[a', /not closed/, 0],
    ['[b-a]', /out of order/, 1],
    ['a{3,2}', /out of order/, 1],
    ['a{1001}', /1000/, 1],
    ['a{x}', /expected \{n\}/, 1],
    ['a*', /empty text/, 0],
    ['\\b', /empty text/, 0],
    ['(a{1000}){1000}', /too large/, 0],
    ['\\q', /unknown escape/, 0],
    ['\\p{Nope}', /unknown Unicode property/, 0],
    ['[^😀]', /negated class/, 0],
    [`${'('.repeat(60)}a${')'.repeat(60)}`, /nested/, 50],
    ['a\\', /backslash/, 1],
  ];
  for (const [source, message, position] of refused) {
    test(`refuses ${source.slice(0, 20)}`, () => {
      assert.throws(
        () => new PatternSet([{ source }]),
        (error: unknown) => {
          assert.ok(error instanceof PatternError);
          assert.match(error.message, message);
          assert.equal(error.position, position);
          return true;
        },
      );
    });
  }

  test('any text is parsed or refused, never anything else', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'ab()[]{}*+?|\\^$.-,:<>=!1209pux dwsbk😀'), maxLength: 24 });
    fc.assert(
      fc.property(hostile, smallText, (source, text) => {
        const set = build([source]);
        if (set !== null) spans(set.matchAll(text));
      }),
      { numRuns: 4000 },
    );
  });

  const found: readonly (readonly [string, string, readonly (readonly [number, number])[]])[] = [
    ['\\bключ\\b', 'мой ключ, ключи', [[4, 8]]],
    ['(?i)straße', 'STRAßE strasse', [[0, 6]]],
    ['(?i)ΣΟΦΌΣ', 'σοφός', [[0, 5]]],
    ['😀+', 'a😀😀b', [[1, 5]]],
    ['[😀-😂x]+', 'a😁x😂b', [[1, 6]]],
    ['\\u{1F600}\\x41\\u0042', '😀AB', [[0, 4]]],
    ['\\p{Script=Han}{2,}', 'ab漢字c', [[2, 4]]],
    ['[\\w-]+@[\\w.]+', 'to: a-b@c.de!', [[4, 12]]],
    ['\\/\\*[^\\n]*', 'x /* y\nz', [[2, 6]]],
    ['(?<year>\\d{4})-(?:\\d{2})', 'on 2026-11', [[3, 10]]],
  ];
  for (const [source, text, expected] of found) {
    test(`${source} in ${JSON.stringify(text)}`, () => {
      const matches = new PatternSet([{ source }]).matchAll(text);
      assert.deepEqual(
        matches.map(({ start, end }) => [start, end]),
        expected,
      );
    });
  }
});

describe('pattern engine work is linear in the text', () => {
  const hostile: readonly (readonly [string, (n: number) => string])[] = [
    ['(a+)+$', (n) => `${'a'.repeat(n)}!`],
    ['(a|aa)+b', (n) => 'a'.repeat(n)],
    ['[a-z]+@[a-z]+\\.com', (n) => 'a@'.repeat(n / 2)],
    ['a|a[^b]*b', (n) => 'a'.repeat(n)],
    ['(x+x+)+y', (n) => 'x'.repeat(n)],
    ['\\d{1,30}-\\d{1,30}', (n) => '12-'.repeat(n / 3)],
    ['.*.*=.*', (n) => 'x'.repeat(n)],
    ['a[ab]{12}c', (n) => Array.from({ length: n }, (_, i) => (((i * 2654435761) >>> 13) & 1 ? 'a' : 'b')).join('')],
  ];
  for (const [source, make] of hostile) {
    test(source, () => {
      const work = (n: number): number => {
        const set = new PatternSet([{ source }], { maxStates: 64 });
        set.matchAll(make(n));
        return set.automaton.work;
      };
      const small = work(6_000);
      const large = work(24_000);
      assert.ok(large <= small * 4.5 + 10_000, `${small} then ${large} instructions`);
      assert.ok(large <= 24_000 * 120, `${large} instructions for 24,000 units`);
    });
  }
});
