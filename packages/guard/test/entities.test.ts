import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileGuard, Placeholders } from '../src/index.ts';
import { cutAtRandom, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

const guard = compileGuard({ ...SETTINGS, input: ['pii', 'entities'], output: ['pii', 'entities'] });

function seen(text: string): string[] {
  const verdict = guard.inspect(text, INPUT);
  return verdict.effect === 'pass' ? [] : verdict.findings.map(({ category, start, end }) => `${category} ${text.slice(start, end)}`);
}

describe('people, places and organisations', () => {
  const found: readonly (readonly [text: string, ...wanted: string[]])[] = [
    ['I spoke to Anna Lindqvist in Kraków.', 'person Anna Lindqvist', 'location Kraków'],
    ['Please ask Dr. Featherstone to call me.', 'person Featherstone', 'title Dr.'],
    ['I met Ingrid in Portugal.', 'person Ingrid', 'location Portugal'],
    ['Ship it to Jonas Lindqvist, 14 Elm Street, Springfield, IL 62704.', 'person Jonas Lindqvist'],
    ['The patient is a 47-year-old Norwegian woman.', 'age 47', 'nationality Norwegian'],
    ['The meeting with Miriam Adeyemi is on March 14, 2024.', 'person Miriam Adeyemi', 'date March 14, 2024'],
    ['See https://team.corp.io/a?b=1, or intranet.corp.io.', 'web-address https://team.corp.io/a?b=1', 'web-address intranet.corp.io'],
  ];
  for (const [text, ...wanted] of found) {
    test(text, () => {
      const findings = seen(text);
      for (const finding of wanted) assert.ok(findings.includes(finding), `${finding} not in ${findings.join('; ')}`);
    });
  }

  for (const text of [
    'How do I sort a list in Python? Give me 3 examples.',
    'The build fails with error 404 when the cache is empty.',
    'Write a short poem about the sea.',
    'Explain the difference between TCP and UDP.',
    'Edit config.yaml and main.py, e.g. with user.name and list.map.',
  ]) {
    test(`passes: ${text}`, () => assert.deepEqual(seen(text), []));
  }

  test('are not looked for unless asked', () => {
    const plain = compileGuard({ ...SETTINGS, input: ['pii'] });
    assert.equal(plain.inspect('My name is Katarzyna Wiśniewska', INPUT).effect, 'pass');
  });

  test('come back into the reply', () => {
    const own = compileGuard({
      ...SETTINGS,
      input: ['entities:tokenise'],
      output: ['entities'],
      pii: { actions: { title: 'pass' }, recognisers: [] },
    });
    const placeholders = new Placeholders();
    const sent = readPieces(own, { ...INPUT, placeholders }, ['Write to Mr. Jonas Lindqvist in Kraków.']).released;
    assert.equal(sent, 'Write to Mr. [PERSON_1] in [LOCATION_1].');
    assert.equal(own.tokenises, true);
    const reply = 'Dear [PERSON_1], how is [LOCATION_1]?';
    assert.equal(readPieces(own, { ...OUTPUT, placeholders }, [...reply]).released, 'Dear Jonas Lindqvist, how is Kraków?');
  });

  test('every way of cutting a text gives the same', () => {
    const unit = fc.constantFrom(
      ...'abcZ 1.,\n!?',
      'Katarzyna Wiśniewska ',
      'Mr. ',
      'in Paris. ',
      '\n\n',
      'x'.repeat(400),
      'lorem ipsum '.repeat(30),
      '😀',
      'ada@corp.io ',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        const whole = readPieces(guard, OUTPUT, [text]);
        for (const { start, end } of whole.findings) assert.ok(start >= 0 && end > start && end <= text.length);
        const random = seeded(text.length);
        for (let cut = 1; cut < 4; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, cut, random)), whole);
      }),
      { numRuns: 150 },
    );
  });

  test('texts of any kind and length come to an end', () => {
    for (const part of ['Mr. Smith ', 'a', '\n\n', 'Paris. ', 'x.y.']) {
      const text = part.repeat(Math.ceil(200_000 / part.length));
      assert.ok(guard.inspect(text, INPUT).effect !== 'block');
    }
  });
});
