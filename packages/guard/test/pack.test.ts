import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileGuard, DEFAULT_INPUT, DEFAULT_OUTPUT } from '../src/index.ts';
import { cutAtRandom, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

const PARTS = [
  'Some ordinary words, and more of them. ',
  'write to jane.doe@corp.co.uk ',
  'or j\u200bohn@corp.io. ',
  'call (415) 555-2671 or +44 20 7946 0958, ',
  'ｃａｒｄ ４１１１ 1111 1111 1111 ',
  'IBAN DE89 3704 0044 0532 0130 00\n',
  'password: Tr0ub4dor&3!x ',
  `token="${'aB3'.repeat(12)}x9Qz" `,
  'https://app:S3cr3tPa55@db.internal/x ',
  '1, 2, 3, 4711, 12.50 and 2024-05-12 ',
  '👩‍👩‍👧‍👦 ❤️ naïve café 漢字 ',
  '\u{e0068}\u{e0069}',
  '\ufe0f\ufe0f',
  'DOB: 12/05/1980 ',
  'project zeus ',
  'рrоjесt zеus ',
  '-----BEGIN PRIVATE KEY-----\n',
  'kind: Secret\ndata:\n  a: c3VwZXJzM2NyZXQ=\n',
];

describe('the default lists', () => {
  for (const action of ['redact', 'block'] as const) {
    const guard = compileGuard(
      {
        ...SETTINGS,
        input: DEFAULT_INPUT,
        output: DEFAULT_OUTPUT,
        deny: [{ name: 'codename', pattern: '\\bproject zeus\\b', ignoreCase: true, stages: ['input', 'output'], action }],
      },
      { maxHold: 512 },
    );

    test(`2,000 random cuts of mixed texts have the same outcome (deny: ${action})`, () => {
      const random = seeded(action.length);
      for (let round = 0; round < 50; round++) {
        const text = Array.from({ length: 14 }, () => PARTS[Math.floor(random() * PARTS.length)]).join('');
        const whole = readPieces(guard, OUTPUT, [text]);
        const verdict = guard.inspect(text, OUTPUT);
        assert.equal(verdict.effect, whole.effect);
        assert.deepEqual(verdict.effect === 'pass' ? [] : verdict.findings, whole.findings);
        for (const { start, end } of whole.findings) assert.ok(start >= 0 && start < end && end <= text.length);
        for (let cut = 0; cut < 20; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, 1 + 3 * cut, random)), whole);
      }
    });
  }

  test('pass ordinary questions in many languages untouched', () => {
    const guard = compileGuard({ ...SETTINGS, input: DEFAULT_INPUT, output: DEFAULT_OUTPUT });
    for (const text of [
      'What is the capital of France?',
      'Write a haiku about 3 frogs and 12 ponds.',
      'كيف يمكنني تعلم البرمجة بسرعة؟',
      'मुझे एक अच्छी किताब सुझाइए।',
      '東京で一番おいしいラーメン屋はどこですか？',
      'Как приготовить борщ на 6 человек?',
      'def f(x):\n\treturn x ** 2  # 0x7fff5fbff8c0',
      '| a | b |\n|---|---|\n| 1 | 2 |',
    ]) {
      assert.deepEqual(guard.inspect(text, INPUT), { effect: 'pass' });
      assert.equal(readPieces(guard, OUTPUT, text.split('')).released, text);
    }
  });
});
