import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PersonalAction, PersonalSettings } from '@sallyport/core';
import { compileGuard, GuardConfigError, Placeholders, type TextContext } from '../src/index.ts';
import { cutAtRandom, cutByMask, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

const TEXT = 'Ask ada@corp.io (SSN 536-90-4399) or +44 20 7946 0958.';

function withActions(actions: Readonly<Record<string, PersonalAction>>, recognisers: PersonalSettings['recognisers'] = []) {
  return compileGuard({ ...SETTINGS, input: ['pii'], output: ['pii'], pii: { actions, recognisers } }, { hashKey: Buffer.alloc(32, 7) });
}

function shown(text: string, actions: Readonly<Record<string, PersonalAction>>, context: TextContext = INPUT): string {
  const { effect, released } = readPieces(withActions(actions), context, [text]);
  return effect === 'block' ? 'blocked' : released;
}

describe('actions by class', () => {
  test('a category is stronger than its class, and both than the list', () => {
    assert.equal(shown(TEXT, { email: 'flag', id: 'pass' }), 'Ask ada@corp.io (SSN 536-90-4399) or [PHONE_1].');
    assert.equal(shown(TEXT, { id: 'pass', 'us-ssn': 'mask', phone: 'flag' }), 'Ask [EMAIL_1] (SSN [ID_1]) or +44 20 7946 0958.');
    assert.equal(shown(TEXT, { 'us-ssn': 'block' }), 'blocked');
    assert.equal(shown('Ask ada@corp.io', { 'us-ssn': 'block' }), 'Ask [EMAIL_1]');
  });

  test('an action said for a class holds in tool arguments too, where masking by default would break the call', () => {
    const call: TextContext = { ...OUTPUT, kind: 'tool-arguments' };
    assert.equal(shown('{"to":"ada@corp.io","id":"536-90-4399"}', { id: 'mask' }, call), '{"to":"ada@corp.io","id":"[ID_1]"}');
  });

  test('a client cannot have its own words taken for a tool call of the model by the name it gives them', () => {
    const guard = compileGuard({ ...SETTINGS, input: ['pii', 'entities'] });
    for (const kind of ['tool-arguments', 'reasoning', null]) {
      assert.equal(readPieces(guard, { ...INPUT, kind }, ['Maria Schmidt, ada@corp.io']).released.includes('Schmidt'), false, `${kind}`);
      assert.equal(readPieces(guard, { ...INPUT, kind }, ['ada@corp.io']).released, '[EMAIL_1]', `${kind}`);
    }
  });

  test('hashes are keyed, the same for the same value, and another for another class', () => {
    const guard = withActions({ email: 'hash' });
    const hashed = (text: string): string => readPieces(guard, INPUT, [text]).released;
    assert.match(hashed('ada@corp.io'), /^\[EMAIL_[0-9a-f]{16}\]$/);
    assert.equal(hashed('ADA@corp.io'), hashed('ada@corp.io'));
    assert.notEqual(hashed('bob@corp.io'), hashed('ada@corp.io'));
    const other = compileGuard({ ...SETTINGS, input: ['pii:hash'] }, { hashKey: Buffer.alloc(32, 8) });
    assert.notEqual(readPieces(other, INPUT, ['ada@corp.io']).released, hashed('ada@corp.io'));
  });

  test('observe changes nothing, whatever is said of a class', () => {
    const pii: PersonalSettings = { actions: { email: 'block', id: 'tokenise' }, recognisers: [] };
    const guard = compileGuard({ ...SETTINGS, input: ['pii'], mode: 'observe', pii });
    const placeholders = new Placeholders();
    assert.equal(guard.inspect(TEXT, { ...INPUT, placeholders }).effect, 'flag');
    assert.deepEqual([guard.tokenises, placeholders.restores], [false, false]);
  });
});

describe('recognisers of the operator', () => {
  const recognisers: PersonalSettings['recognisers'] = [
    { name: 'customer', pattern: 'c-\\d{6}', ignoreCase: true, context: ['customer', 'kunde'], checksum: null },
    { name: 'member-card', pattern: '\\b9\\d{3} \\d{4}\\b', ignoreCase: false, context: [], checksum: 'luhn' },
  ];
  const read = (text: string): string => readPieces(withActions({ customer: 'mask' }, recognisers), INPUT, [text]).released;

  test('need one of their words before them and their check digits', () => {
    assert.equal(read('Customer no C-123456, not customerised C-123456.'), 'Customer no [CUSTOMER_1], not customerised C-123456.');
    assert.equal(read('The bolt C-123456 is for kundendienst C-654321'), 'The bolt C-123456 is for kundendienst C-654321');
    assert.equal(read('9000 0001 and 9000 0002'), '[MEMBER_CARD_1] and 9000 0002');
  });

  test('what is wrong with them is said, all of it at once', () => {
    const wrong: PersonalSettings = {
      actions: { nobody: 'mask' },
      recognisers: [
        { name: 'email', pattern: '(a)\\1', ignoreCase: false, context: [' '], checksum: null },
        { name: 'Ticket', pattern: 'x*', ignoreCase: false, context: [], checksum: null },
      ],
    };
    assert.throws(
      () => compileGuard({ ...SETTINGS, input: ['pii'], pii: wrong }),
      (error: unknown) => {
        assert.ok(error instanceof GuardConfigError);
        assert.deepEqual(
          error.issues.map(({ path }) => path),
          [
            'guards.pii.recognisers[0].name',
            'guards.pii.recognisers[0].pattern',
            'guards.pii.recognisers[0].context[0]',
            'guards.pii.recognisers[1].name',
            'guards.pii.recognisers[1].pattern',
            'guards.pii.actions.nobody',
          ],
        );
        return true;
      },
    );
    assert.throws(() => compileGuard({ ...SETTINGS, pii: { actions: {}, recognisers: [] } }), /guards\.pii/);
  });
});

describe('tokens', () => {
  const guard = compileGuard({ ...SETTINGS, input: ['pii:tokenise'], output: ['pii'] });
  const ask = (...texts: readonly string[]): { placeholders: Placeholders; sent: string[] } => {
    const placeholders = new Placeholders();
    for (const text of texts) placeholders.reserve(text);
    return { placeholders, sent: texts.map((text) => readPieces(guard, { ...INPUT, placeholders }, [text]).released) };
  };

  test('are put back in every way of cutting the reply, and nothing else is', () => {
    const { placeholders, sent } = ask('I am ada@corp.io, call +44 20 7946 0958');
    assert.deepEqual(sent, ['I am [EMAIL_1], call [PHONE_1]']);
    const reply = '[[EMAIL_1]] [EMAIL_1';
    const wanted = '[ada@corp.io] [EMAIL_1';
    for (let mask = 0; mask < 2 ** 12; mask++) {
      const { released, findings } = readPieces(guard, { ...OUTPUT, placeholders }, cutByMask(reply, mask * 131));
      assert.deepEqual([released, findings], [wanted, []]);
    }
  });

  test('a value found in a piece of JSON is the value it stands for', () => {
    const placeholders = new Placeholders();
    const recognisers: PersonalSettings['recognisers'] = [
      { name: 'quoted', pattern: 'q<[^>]+>', ignoreCase: false, context: [], checksum: null },
    ];
    const own = compileGuard({ ...SETTINGS, input: ['pii:tokenise'], pii: { actions: {}, recognisers } });
    own.inspect('{"a":"q<x\\"y>"}', { ...INPUT, kind: 'arguments', placeholders });
    assert.equal(placeholders.original('[QUOTED_1]'), 'q<x"y>');
  });

  test('of another exchange are words', () => {
    ask('I am ada@corp.io');
    const { placeholders } = ask('I am nobody, +44 20 7946 0958');
    assert.equal(readPieces(guard, { ...OUTPUT, placeholders }, ['[EMAIL_1] [PHONE_1]']).released, '[EMAIL_1] +44 20 7946 0958');
  });

  test('whatever a reply holds, each way of cutting it gives the same', () => {
    const { placeholders } = ask('I am ada@corp.io, +44 20 7946 0958 and bob@corp.io');
    const parts = [
      '[EMAIL_1]',
      '[EMAIL_',
      '1]',
      '[[',
      ']',
      'https://x.y/',
      '"',
      ' ',
      '\n',
      '//',
      'www.',
      '<',
      'ada@corp.io ',
      'eve@corp.io ',
    ];
    const random = seeded(3);
    for (let round = 0; round < 400; round++) {
      const reply = Array.from({ length: 12 }, () => parts[Math.floor(random() * parts.length)]).join('');
      for (const kind of ['text', 'tool-arguments']) {
        const context = { ...OUTPUT, kind, placeholders };
        const whole = readPieces(guard, context, [reply]);
        for (let cut = 1; cut < 6; cut++) assert.deepEqual(readPieces(guard, context, cutAtRandom(reply, cut, random)), whole);
        assert.ok(!whole.released.includes('eve@corp.io') || kind === 'tool-arguments');
      }
    }
  });

  test('many values cost no more each than few', () => {
    const placeholders = new Placeholders();
    const text = Array.from({ length: 20_000 }, (_, n) => `u${n}@corp.io`).join(' ');
    const { released } = readPieces(guard, { ...INPUT, placeholders }, [text]);
    assert.ok(released.endsWith('[EMAIL_20000]'));
    const back = readPieces(guard, { ...OUTPUT, placeholders }, [released]);
    assert.equal(back.released, text);
  });
});
