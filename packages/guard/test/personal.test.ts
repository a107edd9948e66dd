import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileGuard } from '../src/index.ts';
import { IDENTIFIERS } from '../src/personal/identifiers.ts';
import { cutAtRandom, INPUT, OUTPUT, readPieces, SETTINGS, seeded } from './streams.ts';

const guard = compileGuard({ ...SETTINGS, input: ['normalise', 'pii:flag'], output: ['pii:mask'] });

function seen(text: string): string[] {
  const verdict = guard.inspect(text, INPUT);
  return verdict.effect === 'pass' ? [] : verdict.findings.map(({ category, start, end }) => `${category} ${text.slice(start, end)}`);
}

/** Numbers published by the authorities and in the specifications as examples, and numbers of test ranges. */
const FOUND: readonly (readonly [text: string, finding: string])[] = [
  ['NHS number 943 476 5919', 'uk-nhs 943 476 5919'],
  ['NINO AB123456C', 'uk-national-insurance AB123456C'],
  ['numéro 2 55 08 14 168 025 38.', 'fr-nir 2 55 08 14 168 025 38'],
  ['Steuer-ID 86095742719', 'de-tax-id 86095742719'],
  ['DNI 12345678Z', 'es-identity-number 12345678Z'],
  ['NIE X1234567L', 'es-identity-number X1234567L'],
  ['codice RSSMRA85T10A562S', 'it-fiscal-code RSSMRA85T10A562S'],
  ['BSN 111222333', 'nl-bsn 111222333'],
  ['nr. 85.07.30-033.28', 'be-national-number 85.07.30-033.28'],
  ['NIF 123456789', 'pt-nif 123456789'],
  ['PESEL 44051401359', 'pl-pesel 44051401359'],
  ['811218-9876', 'se-personal-number 811218-9876'],
  ['131052-308T', 'fi-personal-code 131052-308T'],
  ['01010750160', 'no-birth-number 01010750160'],
  ['CPR 211062-5629', 'dk-cpr 211062-5629'],
  ['756.9217.0769.85', 'ch-ahv 756.9217.0769.85'],
  ['736028/5163', 'cz-birth-number 736028/5163'],
  ['1630615123457', 'ro-cnp 1630615123457'],
  ['kimlik no 10000000146', 'tr-identity-number 10000000146'],
  ['teudat zehut 000000018', 'il-identity-number 000000018'],
  ['111.444.777-35', 'br-cpf 111.444.777-35'],
  ['20-12345678-6', 'ar-cuit 20-12345678-6'],
  ['12.345.678-5', 'cl-rut 12.345.678-5'],
  ['HEGG560427MVZRRL04', 'mx-curp HEGG560427MVZRRL04'],
  ['9999 4105 7058', 'in-aadhaar 9999 4105 7058'],
  ['ABCPE1234F', 'in-pan ABCPE1234F'],
  ['11010519491231002X', 'cn-resident-id 11010519491231002X'],
  ['800101-1234560', 'kr-resident-number 800101-1234560'],
  ['マイナンバー 123456789018', 'jp-my-number 123456789018'],
  ['S1234567D', 'sg-nric S1234567D'],
  ['TFN 123456782', 'au-tfn 123456782'],
  ['8001015009087', 'za-identity-number 8001015009087'],
  ['SIN 130 692 544', 'ca-sin 130 692 544'],
  ['my SSN: 536-90-4399', 'us-ssn 536-90-4399'],
  ['ITIN 912-78-1234', 'us-itin 912-78-1234'],
  ['pay with 4111 1111 1111 1111 today', 'payment-card 4111 1111 1111 1111'],
  ['amex 378282246310005', 'payment-card 378282246310005'],
  ['IBAN DE89 3704 0044 0532 0130 00 please', 'iban DE89 3704 0044 0532 0130 00'],
  ['gb29nwbk60161331926819', 'iban gb29nwbk60161331926819'],
  ['write to jane.doe+x@corp.co.uk.', 'email jane.doe+x@corp.co.uk'],
  ['пишите на иван@почта.рф', 'email иван@почта.рф'],
  ['+44 20 7946 0958', 'phone +44 20 7946 0958'],
  ['(415) 555-2671', 'phone (415) 555-2671'],
  ['call me at 020 7946 0958', 'phone 020 7946 0958'],
  ['02.27.96.63.08', 'phone 02.27.96.63.08'],
  ['from 81.2.69.142 again', 'ip-address 81.2.69.142'],
  ['2a00:1450:4009:81f::200e', 'ip-address 2a00:1450:4009:81f::200e'],
  ['00:1A:2B:3C:4D:5E', 'mac-address 00:1A:2B:3C:4D:5E'],
  ['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'wallet 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa'],
  ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'wallet bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'],
  ['0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe', 'wallet 0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe'],
  ['passport number is C01X00T47', 'passport C01X00T47'],
  ["driver's license: D1234567", 'driving-licence D1234567'],
  ['I was born on 2/19/1988', 'date-of-birth 2/19/1988'],
  ['date of birth: 1980-05-12', 'date-of-birth 1980-05-12'],
  ['DOB 12 May 1980', 'date-of-birth 12 May 1980'],
];

describe('personal data', () => {
  for (const [text, finding] of FOUND) {
    test(finding, () => {
      assert.deepEqual(seen(text), [finding]);
      const whole = readPieces(guard, OUTPUT, [text]);
      const random = seeded(1);
      for (let cut = 0; cut < 12; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, 1 + cut, random)), whole);
    });
  }

  const ordinary = [
    'In 2019, 2020 and 2021 we sold 1 234 567 units for 12.50 each.',
    'Version 1.2.3.4 listens on 127.0.0.1:8080 and 192.168.0.1; time 12:30:45.',
    'ISBN 978-3-16-148410-0, order 123456789, invoice no 20231245',
    'commit 43fc912ef59a83054ea7f6706df4d53a7dea4d80, 1700000000000 ms since 1970-01-01',
    'pi is 3.141592653589793 and e is 2.718281828459045',
    'user@localhost, git@github, @mentions, a@b',
    'someone@example.com is a placeholder',
    'The singer (born 14 March 1979) was born in Ulm.',
    'My birthday twin Einstein: date of birth 14 March 1879',
    'The deadline is 2024-05-12 and the meeting at 10.30 on 12/05/2024.',
    '4111 1111 1111 1112 fails its check digit; so does DE89 3704 0044 0532 0130 01 9',
    '(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) and 0.1234567',
  ];
  for (const text of ordinary) test(`passes: ${text.slice(0, 50)}`, () => assert.deepEqual(seen(text), []));

  test('masks are numbered by value within a text', () => {
    const { released } = readPieces(guard, OUTPUT, [
      'Ask a@corp.io or b@corp.io, then A@corp.io again; card 4111-1111-1111-1111 is 4111 1111 1111 1111.',
    ]);
    assert.equal(released, 'Ask [EMAIL_1] or [EMAIL_2], then [EMAIL_1] again; card [CARD_1] is [CARD_1].');
  });

  test('by default the arguments of a tool call are reported and left as they are', () => {
    const defaults = compileGuard({ ...SETTINGS, output: ['pii'] });
    const call = '{"to":"bob@corp.io"}';
    const step = defaults.open({ ...OUTPUT, kind: 'tool-arguments' }).push(`${call} `);
    assert.equal(step.effect, 'flag');
    assert.equal(readPieces(defaults, OUTPUT, [call]).released, '{"to":"[EMAIL_1]"}');
    const masking = compileGuard({ ...SETTINGS, output: ['pii:mask'] });
    assert.equal(masking.inspect(call, { ...OUTPUT, kind: 'tool-arguments' }).effect, 'redact');
  });

  test('digits in disguise are found', () => {
    assert.deepEqual(seen('card ４１１１ １１１１ １１１１ １１１１'), ['payment-card ４１１１ １１１１ １１１１ １１１１']);
    assert.ok(seen('a\u200bnna@corp.io').includes('email a\u200bnna@corp.io'));
  });

  test('a card is found however it is dressed and cut', () => {
    const card = '4111 1111 1111 1111';
    const folding = compileGuard({ ...SETTINGS, input: ['normalise', 'pii'], output: ['normalise', 'pii:mask'] });
    const dressed = [
      card,
      card.replaceAll(' ', '-'),
      card.replaceAll(' ', ''),
      [...card].join('\u200b'),
      [...card.replaceAll(' ', '')].join('\u2060'),
      card.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0)),
      card.replace(/\d/g, (digit) => String.fromCodePoint(0x1d7ce + Number(digit))),
      `{"card":"${card}"}`,
      JSON.stringify(JSON.stringify({ card })),
    ];
    for (const text of dressed) {
      const whole = readPieces(folding, OUTPUT, [`pay ${text} now`]);
      assert.ok(whole.released.includes('[CARD_1]') && !/\d{4}/.test(whole.released), JSON.stringify(text));
      for (let at = 1; at < whole.offset; at++) {
        const pieces = [`pay ${text} now`.slice(0, at), `pay ${text} now`.slice(at)];
        assert.deepEqual(readPieces(folding, OUTPUT, pieces), whole);
      }
    }
  });

  test('a megabyte of digits comes to an end, whatever stands between them', () => {
    for (const part of ['1', '12 ', '4111 ', '1.2.', '1-2-3 ', '(1) ', '+1 ']) {
      const text = part.repeat(Math.ceil(1_000_000 / part.length));
      assert.notEqual(guard.inspect(text, INPUT).effect, 'block');
    }
  });

  test('numbers of a table are nobody, and one after it is somebody', () => {
    const table = Array.from({ length: 60 }, (_, n) => String(10 + (n % 80))).join(' ');
    assert.deepEqual(seen(`${table}\ncall +44 20 7946 0958`), ['phone +44 20 7946 0958']);
  });

  test('a changed digit fails the check of every identifier that has one', () => {
    const weak = new Set(['us-ssn', 'us-itin', 'dk-cpr']);
    for (const { category, length, valid } of IDENTIFIERS) {
      if (weak.has(category)) continue;
      let passed = 0;
      const random = seeded(9);
      for (let round = 0; round < 2000; round++) {
        if (valid(Array.from({ length }, () => Math.floor(random() * 10)).join(''))) passed++;
      }
      assert.ok(passed < 2000 * 0.12, `${category} accepts ${passed} of 2,000 random numbers`);
    }
  });

  test('no text makes it throw, and offsets are those of the text', () => {
    const unit = fc.constantFrom(
      ...'0123456789 -./()+@:x,aAZ\u00a0é４',
      '\u200b',
      '4111 1111 1111 1111',
      '+44 20 7946 0958',
      'GB29',
      'a@b.io',
      'born ',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
        const whole = readPieces(guard, OUTPUT, [text]);
        for (const { start, end } of whole.findings) assert.ok(start >= 0 && end > start && end <= text.length);
        const random = seeded(text.length);
        for (let cut = 1; cut < 4; cut++) assert.deepEqual(readPieces(guard, OUTPUT, cutAtRandom(text, cut, random)), whole);
      }),
      { numRuns: 600 },
    );
  });
});
