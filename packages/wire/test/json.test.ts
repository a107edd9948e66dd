import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '@sallyport/core';
import { DEFAULT_REQUEST_LIMITS, formatPath, parseJson, type RequestLimits } from '@sallyport/wire';

function refusal(
  body: string | Buffer,
  limits: RequestLimits = DEFAULT_REQUEST_LIMITS,
): { code: string; param: string | null; message: string } {
  try {
    parseJson(Buffer.from(body), limits);
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    return { code: error.code, param: error.param, message: error.message };
  }
  return assert.fail('accepted');
}

describe('parseJson accepts', () => {
  const cases: Record<string, string> = {
    'an empty object': '{}',
    'white space around': ' \t\r\n{ "a" : [ ] } \n',
    'all the escapes of text': '{"a":"\\" \\\\ \\/ \\n \\r \\t \\u0041 \\u000a"}',
    'an escaped pair': '{"a":"\\ud83d\\ude00 \\uD83D\\uDE00"}',
    'an escaped pair right before the quote': '{"a":"\\ud83d\\ude00","b":"\\\\"}',
    'text outside ASCII': '{"名前":"😀 é"}',
    'one name in several objects': '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    'names that begin alike': '{"a":1,"ab":2,"abc":3,"b":4,"aa":5,"aaa":6,"aab":7,"x":8,"y":9,"z":10,"zz":11}',
    'large and small numbers': '{"a":[1.7976931348623157e308,-1e-400,0.1,-0,123456789012345678901234567890]}',
    'names that only resemble a prototype': '{"_proto_":1,"Constructor":2,"prototypes":3,"__proto":4}',
  };
  for (const [name, text] of Object.entries(cases)) {
    it(name, () => assert.deepEqual(parseJson(Buffer.from(text), DEFAULT_REQUEST_LIMITS).value, JSON.parse(text)));
  }
});

describe('parseJson refuses', () => {
  const cases: [string, string | Buffer, string | null, RegExp][] = [
    ['an empty body', '', null, /empty/],
    ['white space alone', '  ', null, /valid JSON/],
    ['a truncated body', '{"model":"m","messages":[{"role":"us', null, /valid JSON/],
    ['trailing data', '{"a":1}{"a":1}', null, /valid JSON/],
    ['a trailing comma', '{"a":1,}', null, /valid JSON/],
    ['a comment', '{"a":1 /* b */}', null, /valid JSON/],
    ['a closing bracket too many', ']]]}}', null, /valid JSON/],
    ['single quotes', "{'a':1}", null, /valid JSON/],
    ['NaN', '{"a":NaN}', null, /valid JSON/],
    ['a raw line feed in a string', '{"a":"b\nc"}', null, /valid JSON/],
    ['a raw NUL in a string', '{"a":"b\u0000c"}', null, /valid JSON/],
    ['a NUL after the object', '{"a":1}\u0000', null, /valid JSON/],
    ['an unknown escape', '{"a":"\\x41"}', null, /valid JSON/],
    ['a cut escape', '{"a":"\\u00"}', null, /valid JSON/],
    ['a list', '[{"a":1}]', null, /JSON object/],
    ['a string', '"a"', null, /JSON object/],
    ['null', 'null', null, /JSON object/],
    ['a byte order mark', '\ufeff{"a":1}', null, /byte order mark/],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), null, /valid JSON/],
    ['a lone continuation byte', Buffer.from([0x7b, 0x22, 0x80, 0x22, 0x3a, 0x31, 0x7d]), null, /UTF-8/],
    ['an overlong encoding of a slash', Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]), null, /UTF-8/],
    ['a surrogate encoded in three bytes', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]), null, /UTF-8/],
    ['a name given twice', '{"model":"a","model":"b"}', 'model', /twice/],
    ['a name given twice, once escaped', '{"model":"a","m\\u006fdel":"b"}', 'model', /twice/],
    ['an escaped name given twice, escaped first', '{"\\u0061":1,"b":2,"a":3}', 'a', /twice/],
    ['a name given twice deep inside', '{"messages":[{},{"role":"user","x":{"k":1,"k":2}}]}', 'messages[1].x.k', /twice/],
    ['a name given twice among many', `{${Array.from({ length: 50 }, (_, index) => `"k${index}":1`).join()},"k7":2}`, 'k7', /twice/],
    ['__proto__', '{"a":{"__proto__":{"admin":true}}}', 'a.__proto__', /not an allowed name/],
    ['__proto__ escaped', '{"\\u005f_proto__":1}', '__proto__', /not an allowed name/],
    ['constructor', '{"constructor":{"prototype":{}}}', 'constructor', /not an allowed name/],
    ['prototype', '[{"prototype":1}]', '[0].prototype', /not an allowed name/],
    [
      'prototype among many names',
      `{${Array.from({ length: 20 }, (_, index) => `"k${index}":1`).join()},"prototype":2}`,
      'prototype',
      /not an allowed name/,
    ],
    ['an escaped NUL', '{"messages":[{"content":"a\\u0000b"}]}', 'messages[0].content', /control character/],
    ['an escaped backspace', '{"a":["x","\\b"]}', 'a[1]', /control character/],
    ['an escaped form feed', '{"a":"\\f"}', 'a', /control character/],
    ['an escaped escape character', '{"a":"\\u001b[31m"}', 'a', /control character/],
    ['an escaped control character in a name', '{"a":{"b\\u0001c":1}}', 'a.b', /control character/],
    ['half a pair, high', '{"a":"\\ud83d"}', 'a', /surrogate/],
    ['half a pair, high, then text', '{"a":"\\ud83d\\n"}', 'a', /surrogate/],
    ['half a pair, high, then another high', '{"a":"\\ud83d\\ud83d\\ude00"}', 'a', /surrogate/],
    ['half a pair, low', '{"a":"\\ude00"}', 'a', /surrogate/],
    ['half a pair in a name', '{"b":{"\\ud83d":1}}', 'b[""]', /surrogate/],
    ['a number out of range', '{"options":{"seed":1e999}}', 'options.seed', /out of range/],
    ['a negative number out of range', '{"a":[0,-1e400]}', 'a[1]', /out of range/],
    ['a number of many digits', `{"a":${'9'.repeat(100)}}`, 'a', /more than 64/],
  ];
  for (const [name, body, param, message] of cases) {
    it(name, () => {
      const refused = refusal(body);
      assert.equal(refused.code, 'invalid_request');
      assert.equal(refused.param, param);
      assert.match(refused.message, message);
    });
  }

  it('tells the position of a syntax error where the engine knows it, never the text', () => {
    const { message } = refusal('{"secret" "hunter2"}');
    assert.match(message, /near character 10/);
    assert.doesNotMatch(message, /hunter|secret/);
    assert.equal(refusal('{"secret":hunter2}').message, 'The request body is not valid JSON.');
  });
});

describe('parseJson holds the limits', () => {
  const limits: RequestLimits = { maxDepth: 4, maxMessages: 10, maxStringLength: 20, maxValues: 12 };

  it('on depth', () => {
    assert.doesNotThrow(() => parseJson(Buffer.from('{"a":[[[1]]]}'), limits));
    assert.deepEqual(refusal('{"a":[[[[1]]]]}', limits), {
      code: 'invalid_request',
      param: 'a[0][0][0]',
      message: 'a[0][0][0] is nested deeper than 4 levels.',
    });
  });

  it('on the length of strings, counted after unescaping', () => {
    assert.doesNotThrow(() => parseJson(Buffer.from(`{"a":"${'é'.repeat(20)}"}`), limits));
    assert.doesNotThrow(() => parseJson(Buffer.from(`{"a":"${'\\u0041'.repeat(20)}"}`), limits));
    assert.equal(refusal(`{"a":"${'x'.repeat(21)}"}`, limits).code, 'request_too_large');
    const refused = refusal(`{"a":{"b":"${'\\n'.repeat(21)}"}}`, limits);
    assert.deepEqual([refused.code, refused.param], ['request_too_large', 'a.b']);
    assert.equal(refusal(`{"${'x'.repeat(21)}":1}`, limits).code, 'request_too_large');
  });

  it('on the number of values', () => {
    assert.doesNotThrow(() => parseJson(Buffer.from('{"a":[1,2,3,4,5,6,7,8,9,10]}'), limits));
    const refused = refusal('{"a":[1,2,3,4,5,6,7,8,9,10,11]}', limits);
    assert.equal(refused.code, 'request_too_large');
    assert.equal(refused.message, 'The request body has more than 12 values.');
  });
});

describe('parseJson takes hostile bodies in its stride', () => {
  const cases: [string, () => string, string | null][] = [
    ['10,000 levels of lists', () => `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'invalid_request'],
    ['10,000 levels of objects, cut off', () => '{"a":'.repeat(10_000), 'invalid_request'],
    ['a million names', () => `{${Array.from({ length: 1_000_000 }, (_, index) => `"${index}":0`).join()}}`, 'request_too_large'],
    ['as many names as allowed', () => `{${Array.from({ length: 48_000 }, (_, index) => `"k${index}":0`).join()}}`, null],
    ['a long string', () => `{"a":"${'x'.repeat(9_000_000)}"}`, 'request_too_large'],
    ['a string of escaped quotes', () => `{"a":"${'\\"'.repeat(1_000_000)}"}`, null],
    ['a string of backslashes without an end', () => `{"a":"${'\\\\'.repeat(1_000_000)}`, 'invalid_request'],
    ['commas', () => ','.repeat(3_000_000), 'request_too_large'],
    ['quotes', () => '"'.repeat(3_000_000), 'invalid_request'],
    ['digits', () => `{"a":${'1'.repeat(3_000_000)}}`, 'invalid_request'],
    [
      'a duplicate after forty thousand names',
      () => `{${Array.from({ length: 40_000 }, (_, index) => `"k${index}":0`).join()},"k5":1}`,
      'invalid_request',
    ],
  ];
  for (const [name, body, code] of cases) {
    it(name, () => {
      if (code === null) assert.doesNotThrow(() => parseJson(Buffer.from(body()), DEFAULT_REQUEST_LIMITS));
      else assert.equal(refusal(body()).code, code);
    });
  }
});

describe('span and edit', () => {
  const text = ' { "model" : "m", "messages":[ {"role":"user","content":"héllo 😀"} , 3 ], "a\\u0062":{"x": null , "y":{}} } ';
  const document = parseJson(Buffer.from(text), DEFAULT_REQUEST_LIMITS);
  const at = (path: (string | number)[]): string | null => {
    const span = document.span(path);
    return span === null ? null : document.bytes.subarray(...span).toString();
  };

  it('finds the bytes of a value', () => {
    assert.equal(at(['model']), '"m"');
    assert.equal(at(['messages', 0, 'content']), '"héllo 😀"');
    assert.equal(at(['messages', 1]), '3');
    assert.equal(at(['ab', 'x']), 'null');
    assert.equal(at(['ab', 'y']), '{}');
    assert.equal(at(['messages']), '[ {"role":"user","content":"héllo 😀"} , 3 ]');
    assert.equal(at([]), text.trim());
  });

  it('finds nothing where there is nothing', () => {
    for (const path of [['none'], ['messages', 2], ['messages', 'role'], ['model', 0], ['ab', 'x', 'y'], ['messages', 0, 1]]) {
      assert.equal(at(path), null, formatPath(path));
    }
  });

  it('replaces values and leaves every other byte', () => {
    const edited = document.edit([
      { path: ['ab', 'x'], value: { n: [1, '"'] } },
      { path: ['messages', 0, 'content'], value: 'ünder\nlined' },
      { path: ['model'], value: 'upstream-name' },
    ]);
    assert.equal(
      edited.toString(),
      text.replace('"m"', '"upstream-name"').replace('"héllo 😀"', '"ünder\\nlined"').replace('null', '{"n":[1,"\\""]}'),
    );
  });

  it('adds members that are missing', () => {
    assert.equal(
      document
        .edit([
          { path: ['ab', 'z'], value: 1 },
          { path: ['ab', 'y', 'k'], value: true },
          { path: ['stream'], value: false },
          { path: ['ab', 'y', 'l'], value: 2 },
        ])
        .toString(),
      text.replace('"y":{}', '"y":{"k":true,"l":2},"z":1').replace('"z":1} } ', '"z":1},"stream":false } '),
    );
    assert.equal(
      parseJson(Buffer.from('{}'), DEFAULT_REQUEST_LIMITS)
        .edit([{ path: ['a'], value: [] }])
        .toString(),
      '{"a":[]}',
    );
  });

  it('gives the same bytes where nothing is edited', () => assert.equal(document.edit([]), document.bytes));

  it('refuses paths that overlap or lead nowhere, as defects of the caller', () => {
    const throws = (...paths: (string | number)[][]): void =>
      assert.throws(() => document.edit(paths.map((path) => ({ path, value: 0 }))), TypeError);
    throws(['model'], ['model']);
    throws(['messages'], ['messages', 0]);
    throws(['messages', 0], ['messages']);
    throws(['none', 'deeper']);
    throws(['messages', 7]);
  });
});

describe('formatPath', () => {
  it('writes paths as people do, and bounds what a client can put in them', () => {
    assert.equal(formatPath(['messages', 2, 'content', 0, 'image_url']), 'messages[2].content[0].image_url');
    assert.equal(formatPath([0, 'a b', '']), '[0]["a b"][""]');
    assert.equal(formatPath(['x'.repeat(100)]), `["${'x'.repeat(64)}…"]`);
    assert.ok(formatPath(Array.from({ length: 1000 }, () => 'name')).length < 300);
  });
});
