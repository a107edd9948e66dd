import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GuardSettings, ReplyContract } from '@sallyport/core';
import { compileGuard, GuardConfigError, heldToRequest, type TextContext } from '../src/index.ts';
import { SETTINGS, seeded } from './streams.ts';

const REPLY: TextContext = { stage: 'output', provenance: 'assistant', kind: 'text' };
const NONE: ReplyContract = { schema: null, languages: [], minLength: 0, maxLength: null, repair: true, onBreach: 'refuse' };
const guardOf = (contract: Partial<ReplyContract>, settings: Partial<GuardSettings> = {}): ReturnType<typeof compileGuard> =>
  compileGuard({ ...SETTINGS, input: [], output: ['pii'], ...settings, contract: { ...NONE, ...contract } });
const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', pattern: '^[A-Z][a-z]+$' }, tags: { type: 'array', items: { type: 'string' } } },
  required: ['city'],
  additionalProperties: false,
};

interface Outcome {
  readonly shown: string;
  readonly effects: readonly string[];
  readonly findings: readonly string[];
}

/** What a client sees of a text in these pieces. */
function read(guard: ReturnType<typeof compileGuard>, pieces: readonly string[]): Outcome {
  const window = guard.open(REPLY);
  const text = pieces.join('');
  const steps = [...pieces.map((piece) => window.push(piece)), window.end()];
  const edits = steps.flatMap((step) => step.edits);
  let shown = '';
  let from = 0;
  const released = Math.max(...steps.map((step) => step.released));
  for (const { start, end, text: replacement } of edits) {
    assert.ok(start >= from && start < end && end <= released, 'edits are in order, within what is released');
    shown += text.slice(from, start) + replacement;
    from = end;
  }
  const effects = steps.some(({ effect }) => effect === 'block') ? ['block'] : [];
  return {
    shown: shown + text.slice(from, released),
    effects,
    findings: steps.flatMap((step) => step.findings.map(({ category }) => category)),
  };
}

/** The outcome of the whole text, which is that of every way of cutting it. */
function outcome(guard: ReturnType<typeof compileGuard>, text: string): Outcome {
  const whole = read(guard, [text]);
  assert.deepEqual(read(guard, text.split('')), whole);
  const random = seeded(text.length);
  for (let round = 0; round < 20; round += 1) {
    const cuts = [0, ...Array.from({ length: 3 }, () => Math.floor(random() * text.length)), text.length].toSorted((a, b) => a - b);
    assert.deepEqual(
      read(
        guard,
        cuts.slice(1).map((cut, index) => text.slice(cuts[index], cut)),
      ),
      whole,
    );
  }
  const verdict = guard.inspect(text, REPLY);
  assert.equal(verdict.effect === 'block', whole.effects.includes('block'));
  return whole;
}

describe('a reply that has to be JSON', () => {
  const guard = guardOf({ schema: SCHEMA });
  test('is shown as it is where it fits, taken out of what stands around it, and refused otherwise', () => {
    const json = '{ "city": "Oslo", "tags": ["a {b} \\"c\\" :", "d"] }';
    assert.equal(outcome(guard, ` ${json}\n`).shown, ` ${json}\n`);
    for (const wrapped of [`\`\`\`json\n${json}\n\`\`\``, `Here you are:\n${json}`, `${json}\nAnything else?`]) {
      assert.deepEqual(outcome(guard, wrapped), { shown: json, effects: [], findings: ['not-json'] });
    }
    for (const [bad, category] of [
      ['{"city":"Oslo"', 'not-json'],
      ['No idea.', 'not-json'],
      ['', 'not-json'],
      ['{"city":"Oslo"} {"city":"Rome"}', 'not-json'],
      ['{"city":"oslo"}', 'schema'],
      ['{"city":"Oslo","x":1}', 'schema'],
      ['"Oslo"', 'schema'],
      ['{"city":"Oslo","city":"Rome"}', 'duplicate-key'],
      [`{"city":"Oslo","tags":${'['.repeat(90)}${']'.repeat(90)}}`, 'not-json'],
    ] as const) {
      assert.deepEqual(outcome(guard, bad), { shown: '', effects: ['block'], findings: [category] }, bad);
    }
  });

  test('is judged after the detectors have changed it, is only reported where that is wanted, and is no matter of other kinds', () => {
    const mail = '{"city":"Oslo","tags":["jane.doe@corp.co.uk"]}';
    assert.match(outcome(guard, `Look: ${mail}`).shown, /^\{"city":"Oslo","tags":\["\[EMAIL_1\]"\]\}$/);
    assert.deepEqual(outcome(guardOf({ schema: SCHEMA, onBreach: 'flag' }), 'No.'), { shown: 'No.', effects: [], findings: ['not-json'] });
    assert.deepEqual(outcome(guardOf({ schema: SCHEMA }, { mode: 'observe' }), 'No.'), {
      shown: 'No.',
      effects: [],
      findings: ['not-json'],
    });
    assert.deepEqual(outcome(guardOf({ schema: SCHEMA, repair: false }), '```\n{"city":"Oslo"}\n```').effects, ['block']);
    for (const kind of ['reasoning', 'tool-arguments', 'refusal']) assert.equal(guard.inspect('No.', { ...REPLY, kind }).effect, 'pass');
    assert.equal(guard.inspect('No.', { stage: 'input', provenance: 'user', kind: null }).effect, 'pass');
  });

  test('schemas that could be dear, or reach elsewhere, are refused with their place', () => {
    const paths = (schema: Record<string, unknown>): string[] => {
      try {
        guardOf({ schema });
        return [];
      } catch (error) {
        assert.ok(error instanceof GuardConfigError);
        return error.issues.map(({ path }) => path.replace('guards.contract.schema', ''));
      }
    };
    assert.deepEqual(paths({ properties: { a: { type: 'string', pattern: '(?=a)b' } } }), ['.properties.a.pattern']);
    assert.deepEqual(paths({ type: 'object', patternProperties: { '(a)\\1': {} } }), ['.patternProperties']);
    assert.deepEqual(paths({ $ref: 'https://example.com/s.json' }), ['.$ref']);
    assert.deepEqual(paths({ properties: { next: { $ref: '#' } } }), ['.properties.next.$ref']);
    assert.deepEqual(paths({ $defs: { a: { items: { $ref: '#/$defs/a' } } }, $ref: '#/$defs/a' }).length > 0, true);
    // A member may have a keyword's name, and a nested `$id` gives references another root.
    const again = { anyOf: [{ properties: { default: { $ref: '#/properties/default' } } }, true] };
    assert.deepEqual(paths({ properties: { default: again } }).length > 0, true);
    assert.deepEqual(paths({ properties: { enum: { type: 'string', pattern: '(?=a)b' } } }), ['.properties.enum.pattern']);
    assert.deepEqual(paths({ $id: 'root', properties: { x: { $id: 'x', properties: { y: { $ref: '#/properties/y' } } } } }), [
      '.properties.x.$id',
    ]);
    assert.deepEqual(paths({ properties: { $id: { type: 'string' }, $ref: { type: 'string' } } }), []);
    assert.deepEqual(paths({ type: 'nothing' }), ['']);
    assert.deepEqual(paths({ type: 'object', properties: { pattern: { const: '(?=a)' } }, enum: [{ pattern: '(?=' }] }), []);
  });

  test('items that have to differ are told apart in linear time, whatever the order of their members', () => {
    const unique = guardOf({ schema: { type: 'array', uniqueItems: true } });
    // Each compared with each, from its last member on, would take minutes.
    const items = Array.from({ length: 20_000 }, (_, index) => [index, ...Array<number>(20).fill(0)]);
    assert.equal(unique.inspect(JSON.stringify(items), REPLY).effect, 'pass');
    for (const same of ['[1,2,1.0]', '[{"a":1,"b":[2]},{"b":[2],"a":1}]', '["x","x"]']) {
      assert.deepEqual(outcome(unique, same).findings, ['schema'], same);
    }
    for (const other of ['[1,"1",true,"true",null,"null"]', '[{"a":1,"b":2},{"a":2,"b":1}]', '[[1,2],[12],["1,2"]]', '[0,false,""]']) {
      assert.deepEqual(outcome(unique, other).effects, [], other);
    }
  });

  test('JSON stands alone only where no reader stumbles over what is around it', () => {
    const guard = guardOf({ schema: { type: 'object' } });
    assert.deepEqual(outcome(guard, '\r\n\t {"a":1}\n'), { shown: '\r\n\t {"a":1}\n', effects: [], findings: [] });
    assert.deepEqual(outcome(guard, '\ufeff{"a":1}\u00a0'), { shown: '{"a":1}', effects: [], findings: ['not-json'] });
  });

  test('a pattern that backtracking takes for ever is matched at once', () => {
    const slow = guardOf({ schema: { type: 'string', pattern: '^(a+)+$' } });
    assert.deepEqual(outcome(slow, JSON.stringify(`${'a'.repeat(5_000)}!`)).findings, ['schema']);
  });
});

describe('a reply that has to be what its request asks for', () => {
  const base = compileGuard({ ...SETTINGS, input: [], output: ['pii'] });
  const asked = (schema: Record<string, unknown>, onBreach: ReplyContract['onBreach'] = 'refuse'): ReturnType<typeof compileGuard> =>
    heldToRequest(base, schema, { ...NONE, onBreach }, 'hold');
  const paths = (schema: Record<string, unknown>): string[] => {
    try {
      asked(schema);
      return [];
    } catch (error) {
      assert.ok(error instanceof GuardConfigError);
      return error.issues.map(({ path }) => path);
    }
  };

  test('is shown as it is, taken out of what stands around it, or refused', () => {
    const guard = asked({ ...SCHEMA, $schema: 'http://json-schema.org/draft-07/schema#', title: 'City' });
    assert.equal(outcome(guard, '{"city":"Oslo"}').shown, '{"city":"Oslo"}');
    assert.deepEqual(outcome(guard, 'Sure: {"city":"Oslo"}'), { shown: '{"city":"Oslo"}', effects: [], findings: ['not-json'] });
    assert.deepEqual(outcome(guard, '{"town":"Oslo"}'), { shown: '', effects: ['block'], findings: ['schema'] });
    assert.deepEqual(outcome(asked({}), 'I cannot say.'), { shown: '', effects: ['block'], findings: ['not-json'] });
    assert.deepEqual(outcome(asked({}, 'flag'), 'I cannot say.'), { shown: 'I cannot say.', effects: [], findings: ['not-json'] });
    assert.deepEqual(outcome(guard, '{"city":"oslo"}').effects, [], 'a pattern is an annotation');
  });

  test('and what the operator asks for, both', () => {
    const both = heldToRequest(guardOf({ schema: SCHEMA }), { required: ['tags'] }, NONE, 'hold');
    assert.deepEqual(outcome(both, 'Yes: {"city":"Oslo","tags":[]}').shown, '{"city":"Oslo","tags":[]}');
    for (const text of ['{"city":"Oslo"}', '{"tags":[]}']) assert.deepEqual(outcome(both, text).effects, ['block'], text);
  });

  test('a member has to be its own', () => {
    assert.deepEqual(outcome(asked({ required: ['constructor'] }), '{}').effects, ['block']);
    assert.deepEqual(outcome(asked({ required: ['toString'] }), '{"toString":1}').effects, []);
  });

  test('what would make judging dear, or is not judged as it reads, is refused; words of the validator’s own do nothing', () => {
    assert.deepEqual(paths({ patternProperties: { '^a': {} } }), ['schema.patternProperties']);
    assert.deepEqual(paths({ properties: { a: { $ref: '#' } } }), ['schema.properties.a.$ref']);
    assert.deepEqual(paths({ $ref: 'https://example.com/s' }), ['schema.$ref']);
    for (const $ref of ['#/const', '#/%24defs/a', '#/%zz', '#/enum/0'])
      assert.deepEqual(paths({ $ref, const: { $async: true } }), ['schema.$ref']);
    assert.deepEqual(paths({ type: 5 }), ['schema']);
    assert.deepEqual(paths({ maxLength: '1' }), ['schema']);
    assert.deepEqual(paths({ description: 'x'.repeat(40_000) }), ['schema']);
    assert.deepEqual(paths({ allOf: Array.from({ length: 600 }, () => ({})) }), ['schema']);
    assert.deepEqual(outcome(asked({ $async: true, nullable: true, type: 'object' }), '"x"').effects, ['block']);
    const name = ['"', "'", '`', '$', '{process.exit(1)}'].join('');
    assert.deepEqual(
      outcome(asked({ properties: { [name]: { const: name } }, required: [name] }), JSON.stringify({ [name]: name })).effects,
      [],
    );
  });

  test('a schema is as large as what it refers to, and every value and name of it counts', () => {
    const names = Array.from({ length: 450 }, (_, index) => `a${index.toString(36)}`);
    const no = Object.fromEntries(names.map((name) => [name, false]));
    const refs = (count: number): object[] => Array.from({ length: count }, () => ({ $ref: '#/$defs/e' }));
    for (const schema of [
      { $defs: { e: { properties: no } }, items: { anyOf: refs(3) } },
      { properties: no },
      { $defs: { e: { required: names } }, items: { anyOf: refs(4) } },
      { $defs: { e: { enum: names } }, anyOf: refs(4) },
      { enum: Array.from({ length: 2_000 }, (_, index) => index) },
      { allOf: Array.from({ length: 400 }, () => true) },
      { oneOf: Array.from({ length: 110 }, () => false) },
      {
        $defs: Object.fromEntries(
          names.slice(0, 25).map((_, at) => [`d${at}`, { allOf: [`#/$defs/d${at + 1}`, `#/$defs/d${at + 1}`].map(($ref) => ({ $ref })) }]),
        ),
        $ref: '#/$defs/d0',
      },
      Array.from({ length: 30 }).reduce<object>((inner) => ({ allOf: [inner], unevaluatedProperties: false }), {
        required: names.slice(0, 100),
      }),
    ]) {
      assert.deepEqual(paths({ ...schema }), ['schema'], JSON.stringify(schema).slice(0, 80));
    }
    const chain = names.slice(0, 120).map((_, at) => [`d${at}`, at === 119 ? {} : { $ref: `#/$defs/d${at + 1}` }]);
    assert.match(paths({ $defs: Object.fromEntries(chain), $ref: '#/$defs/d0' })[0] ?? '', /^schema\./);
    const pair = { a: { items: { $ref: '#/$defs/b' } }, b: { items: { $ref: '#/$defs/a' } } };
    assert.match(paths({ $defs: pair, $ref: '#/$defs/a' })[0] ?? '', /^schema\..*\$ref$/);
    const everyday = Object.fromEntries(
      names.slice(0, 120).map((name) => [name, { type: 'string', description: 'What it is. '.repeat(10) }]),
    );
    const schema = { type: 'object', properties: everyday, required: names.slice(0, 120), additionalProperties: false };
    const reply = JSON.stringify(Object.fromEntries(names.slice(0, 120).map((name) => [name, 'x'.repeat(400)])));
    assert.deepEqual(asked(schema).inspect(reply, REPLY).effect, 'pass', 'what a schema says beside its assertions costs nothing');
  });

  test('a reply that would take too long to hold to its schema breaks it', () => {
    const items = asked({ type: 'array', items: { enum: Array.from({ length: 1_000 }, (_, index) => index) } });
    assert.deepEqual(outcome(items, '[999]').effects, []);
    assert.deepEqual(items.inspect(JSON.stringify(Array<number>(100).fill(999)), REPLY).effect, 'pass');
    assert.deepEqual(items.inspect(JSON.stringify(Array<number>(3_000).fill(999)), REPLY).effect, 'block');
    const $defs = { e: { enum: Array.from({ length: 20 }, (_, index) => 2 + index) } };
    const tried = asked({ $defs, items: { anyOf: [...Array.from({ length: 30 }, () => ({ $ref: '#/$defs/e' })), { type: 'integer' }] } });
    assert.deepEqual(tried.inspect(JSON.stringify(Array<number>(200).fill(1)), REPLY).effect, 'pass');
    assert.deepEqual(tried.inspect(JSON.stringify(Array<number>(2_000).fill(1)), REPLY).effect, 'block');
    const texts = asked({ items: { allOf: Array.from({ length: 150 }, () => ({ maxLength: 10_000 })) } });
    assert.deepEqual(texts.inspect(JSON.stringify(['é'.repeat(8_000)]), REPLY).effect, 'pass');
    assert.deepEqual(texts.inspect(JSON.stringify(Array<string>(40).fill('é'.repeat(8_000))), REPLY).effect, 'block');
  });

  test('is measured once it was taken out of what stands around it, and not cut; what stands beside a call of a tool is', () => {
    const contract = { ...NONE, maxLength: 16 };
    const guard = heldToRequest(guardOf(contract), SCHEMA, contract, 'hold');
    assert.deepEqual(outcome(guard, 'Here you are: {"city":"Oslo"}'), { shown: '{"city":"Oslo"}', effects: [], findings: ['not-json'] });
    assert.deepEqual(outcome(guard, '{"city":"Reykjavik"}'), { shown: '', effects: ['block'], findings: ['too-long'] });
    const beside = (text: string): string => {
      const verdict = guard.inspect(text, { ...REPLY, callsTools: () => true });
      return verdict.effect === 'redact' ? verdict.edits.map((edit) => edit.text).join() : verdict.effect;
    };
    for (const text of ['\n\n', 'I look it up.', '{"town":1}']) assert.equal(beside(text), 'pass');
    assert.equal(beside('I shall look that up for you.'), 'I shall look tha');
    assert.equal(guard.inspect('I look it up.', { ...REPLY, callsTools: () => false }).effect, 'block');
  });

  test('a schema is taken as the specification has it', () => {
    for (const [schema, fits, breaks] of [
      [{ properties: { price: { multipleOf: 0.01 } } }, '{"price":19.99}', '{"price":19.995}'],
      [{ type: 'array', prefixItems: [{ type: 'number' }, { type: 'string' }] }, '[1,"a",2]', '["a"]'],
      [{ type: 'array', prefixItems: [{ type: 'number' }], items: false }, '[1]', '[1,2]'],
      [{ type: 'object', if: { required: ['a'] } }, '{}', '[]'],
      [{ type: 'object', else: { required: ['a'] } }, '{}', '[]'],
      [{ type: 'array', minContains: 1 }, '[]', '{}'],
      [{ properties: { a: { minimum: 1 } }, required: ['b'] }, '{"b":1,"a":"x"}', '{"b":1,"a":0}'],
      [{ type: 'number' }, '1', '1e999'],
    ] as const) {
      assert.deepEqual(outcome(asked({ ...schema }), fits).effects, [], JSON.stringify(schema));
      assert.deepEqual(outcome(asked({ ...schema }), breaks).effects, ['block'], JSON.stringify(schema));
    }
  });
});

describe('the length of a reply', () => {
  test('what is too long is cut, between code points, and what is left out is not inspected for nothing', () => {
    const guard = guardOf({ maxLength: 10 });
    assert.deepEqual(outcome(guard, '0123456789'), { shown: '0123456789', effects: [], findings: [] });
    assert.deepEqual(outcome(guard, '0123456789abc'), { shown: '0123456789', effects: [], findings: ['too-long'] });
    assert.deepEqual(outcome(guard, '012345678😀abc').shown, '012345678😀');
    assert.deepEqual(outcome(guardOf({ maxLength: 30 }), 'Write to jane.doe@corp.co.uk or to others').shown, 'Write to [EMAIL_1] o');
    assert.deepEqual(outcome(guardOf({ maxLength: 10, repair: false }), '0123456789abc').effects, ['block']);
    assert.deepEqual(outcome(guardOf({ maxLength: 10, repair: false, onBreach: 'flag' }), '0123456789abc').findings, ['too-long']);
    assert.deepEqual(outcome(guardOf({ minLength: 5 }), 'Hi.').effects, ['block']);
    assert.deepEqual(outcome(guardOf({ minLength: 5, onBreach: 'flag' }), 'Hi.'), { shown: 'Hi.', effects: [], findings: ['too-short'] });
  });
});

describe('the language of a reply', () => {
  const guard = guardOf({ languages: ['en', 'de'] });
  test('is one of those, code and addresses aside; what is too short to tell passes', () => {
    for (const text of [
      'The harbour opens at six in the morning and closes late in the evening.',
      'Der Hafen öffnet um sechs Uhr morgens und schließt spät am Abend.',
      'OK.',
      '42',
      'Run this:\n```\nfor f in *.txt; do echo "$f"; done\n```\nIt prints the name of every file in the folder.',
    ]) {
      assert.deepEqual(outcome(guard, text).effects, [], text);
    }
    for (const text of [
      'Le port ouvre à six heures du matin et ferme tard dans la soirée.',
      'El puerto abre a las seis de la mañana y cierra tarde por la noche.',
      'Порт открывается в шесть утра и закрывается поздно вечером.',
      '港口早上六点开放,晚上很晚才关闭,欢迎您在任何时候来参观我们的港口和博物馆。',
    ]) {
      assert.deepEqual(outcome(guard, text), { shown: '', effects: ['block'], findings: ['language'] }, text);
    }
    assert.throws(() => guardOf({ languages: ['xx'] }), GuardConfigError);
    assert.throws(() => guardOf({ languages: ['en'], schema: SCHEMA }), GuardConfigError);
    assert.throws(() => guardOf({ languages: ['en'], requested: true }), GuardConfigError);
  });
});
