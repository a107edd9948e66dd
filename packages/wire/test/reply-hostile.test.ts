import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import type { EndpointId } from '../src/endpoint.ts';
import { REPLY_FORMATS } from '../src/reply/formats.ts';
import { format, readOne, readStream } from './reply-fixtures.ts';

const ENDPOINTS = (Object.keys(REPLY_FORMATS) as EndpointId[]).filter((id) => REPLY_FORMATS[id] !== null);
const kinds = (endpoint: EndpointId, source: string | Buffer): string[] =>
  readStream(endpoint, [Buffer.from(source)]).events.map(({ kind }) => kind);

test('arbitrary bytes are read without a throw and without losing one, on every endpoint', () => {
  const fragment = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.json({ maxDepth: 4 }).map((json) => Buffer.from(`data: ${json}\n\n`)),
    fc.json({ maxDepth: 4 }).map((json) => Buffer.from(`${json}\n`)),
    fc
      .constantFrom(
        'data: ',
        '\n\n',
        '\r\r',
        'event: error\n',
        ':',
        '[DONE]',
        '{"choices":[{"index":0,"delta":{"content":',
        '"x"}}]}',
        '{"type":"content_block_delta",',
        '"index":1e3,',
        '"index":-1,',
        '"delta":{"text":"',
        '\\ud800',
        '"}}',
        '{"message":{"tool_calls":[{"function":',
        '"logprobs":{"content":[{"bytes":[300,-1]}]}',
        '{"type":"response.output_text.delta","output_index":"x",',
        '{"__proto__":{"texts":1},"constructor":"x"}\n',
        '\ufeff',
        '{"a":1,"a":2}\n',
      )
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...ENDPOINTS), fc.array(fragment, { maxLength: 12 }), (endpoint, chunks) => {
      for (const event of readStream(endpoint, chunks).events) {
        event.rewrite(new Map(event.texts.map((text) => [text.index, 'x'])), 'public');
      }
      const body = Buffer.concat(chunks);
      const whole = format(endpoint).readWhole(body);
      assert.equal(whole.raw, body);
      whole.rewrite(new Map(whole.texts.map((text) => [text.index, 'x'])), 'public');
    }),
    { numRuns: 1500 },
  );
});

test('any JSON object in any dialect is either read, rewritten and read again, or refused', () => {
  const names = [
    'choices',
    'index',
    'delta',
    'message',
    'content',
    'type',
    'text',
    'tool_calls',
    'function',
    'arguments',
    'logprobs',
    'token',
    'bytes',
    'model',
    'error',
    'usage',
    'item',
    'output',
    'part',
    'response',
    'content_block',
    'input',
    'a b',
    '__proto__',
    '7',
  ];
  const value = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(null, true, 0, 3, 12345678, 'text', 'response.output_text.delta', 'content_block_delta'),
    ),
    node: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      tie('leaf'),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.array(fc.tuple(fc.constantFrom(...names), tie('node')), { maxLength: 5 }).map((members) => Object.fromEntries(members)),
    ),
  })).node;
  fc.assert(
    fc.property(
      fc.constantFrom(...ENDPOINTS),
      fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 5 }),
      (endpoint, entries) => {
        const event = readOne(endpoint, JSON.stringify(Object.fromEntries(entries)));
        const changes = new Map(event.texts.map((text) => [text.index, 'zz']));
        const again = event.rewrite(changes, 'public');
        if (event.kind !== 'malformed') assert.notEqual(readStream(endpoint, [again]).events[0]?.kind, 'malformed');
      },
    ),
    { numRuns: 800 },
  );
});

test('what is not a JSON object in UTF-8 is malformed', () => {
  for (const payload of [
    '{',
    '[]',
    '"text"',
    '7',
    'null',
    '{"a":1}}',
    '{"a":1}{"b":2}',
    "{'a':1}",
    '{"a":"\u0001"}',
    '{"a":NaN}',
    '[DONE] and more',
  ]) {
    assert.deepEqual(kinds('openai.chat', `data: ${payload}\n\n`), ['malformed'], payload);
    assert.deepEqual(kinds('ollama.chat', `${payload}\n`), ['malformed'], payload);
    assert.equal(format('anthropic.messages').readWhole(Buffer.from(payload)).kind, 'malformed');
  }
  const invalid = Buffer.from('data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', 'latin1');
  assert.deepEqual(kinds('openai.chat', invalid), ['malformed']);
  assert.deepEqual(kinds('openai.chat', Buffer.from(': caf\xe9\n\n', 'latin1')), ['malformed']);
});

test('duplicate members are malformed wherever they are, also when one is written with an escape', () => {
  for (const json of [
    '{"choices":[],"choices":[]}',
    '{"choices":[{"index":0,"delta":{"content":"good","content":"bad"}}]}',
    '{"choices":[{"index":0,"delta":{"content":"good","c\\u006fntent":"bad"}}]}',
    '{"choices":[],"deep":[[{"x":{"y":1,"y":1}}]]}',
    '{"choices":[{"index":0,"logprobs":{"content":[{"token":"a","token":"b"}]}}]}',
    '{"choices":[],"usage":{"prompt_tokens":1,"prompt_tokens":2}}',
    '{"__proto__":1,"__proto__":2}',
  ]) {
    assert.deepEqual(kinds('openai.chat', `data: ${json}\n\n`), ['malformed'], json);
  }
  assert.deepEqual(kinds('openai.chat', 'data: {"a":":\\":","b":{"a":1},"c":[{"a":2},{"a":3}],"":0}\n\n'), ['data']);
});

test('a member called __proto__ is a member like any other', () => {
  const event = readOne('openai.chat', '{"choices":[{"index":0,"delta":{"__proto__":{"content":"hidden"},"content":"seen"}}]}');
  assert.deepEqual(event.texts.map(({ text }) => text).sort(), ['hidden', 'seen']);
  assert.equal(Reflect.get({}, 'content'), undefined);
});

test('nesting beyond sixty-four levels is malformed, ten thousand levels too', () => {
  for (const depth of [70, 10_000]) {
    const json = `{"x":${'['.repeat(depth)}"text"${']'.repeat(depth)}}`;
    assert.deepEqual(kinds('openai.chat', `data: ${json}\n\n`), ['malformed']);
    assert.equal(format('openai.responses').readWhole(Buffer.from(json)).kind, 'malformed');
    const objects = `${'{"x":'.repeat(depth)}"text"${'}'.repeat(depth)}`;
    assert.deepEqual(kinds('ollama.chat', `${objects}\n`), ['malformed']);
  }
  assert.equal(readOne('openai.chat', `{"x":${'['.repeat(50)}"text"${']'.repeat(50)}}`).texts[0]?.text, 'text');
});

test('an index that is no small whole number is malformed: two clients could put its text in two places', () => {
  for (const index of ['-1', '0.5', '1e9', '"0"', '[]', 'true']) {
    assert.deepEqual(kinds('openai.chat', `data: {"choices":[{"index":${index},"delta":{"content":"x"}}]}\n\n`), ['malformed'], index);
    assert.deepEqual(kinds('anthropic.messages', `data: {"type":"content_block_delta","index":${index},"delta":{"text":"x"}}\n\n`), [
      'malformed',
    ]);
  }
});

test('a growing text of another type is still one growing text, and choices that are no list are malformed', () => {
  const event = readOne('openai.chat', { choices: [{ index: 0, delta: { content: { text: 'piece' } } }] });
  assert.deepEqual(
    event.texts.map(({ channel, mode, text }) => [channel, mode, text]),
    [
      ['choice:0/text.text#name', 'whole', 'text'],
      ['choice:0/text.text', 'delta', 'piece'],
    ],
  );
  assert.equal(
    readOne('openai.chat', { choices: [{ index: 0, delta: { content: 4111111111111111 } }] }).texts[0]?.text,
    '4111111111111111',
  );
  assert.equal(readOne('openai.chat', { choices: { 0: { delta: { content: 'x' } } } }).kind, 'malformed');
});

test('a text after the end of its channel is malformed, an empty one or a repetition is not', () => {
  const chunk = (delta: object, finish: string | null): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  assert.deepEqual(kinds('openai.chat', chunk({ content: 'a' }, 'stop') + chunk({ content: '' }, null) + chunk({ content: 'b' }, null)), [
    'data',
    'data',
    'malformed',
  ]);
  assert.deepEqual(kinds('openai.chat', `${chunk({ content: 'a' }, null)}data: [DONE]\n\n${chunk({ reasoning: 'b' }, null)}`), [
    'data',
    'done',
    'malformed',
  ]);
  assert.deepEqual(kinds('openai.chat', chunk({}, 'stop') + chunk({ tool_calls: [{ index: 0, function: { arguments: 'b' } }] }, null)), [
    'data',
    'malformed',
  ]);
  const call = (part: object): string => chunk({ tool_calls: [{ index: 0, function: part }] }, null);
  assert.deepEqual(
    kinds('openai.chat', call({ name: 'f', arguments: '' }) + call({ name: 'g' }) + call({ arguments: '{' }) + call({ name: 'h' })),
    ['data', 'data', 'data', 'malformed'],
  );
  const block = (type: string, more: object): string => `data: ${JSON.stringify({ type, index: 0, ...more })}\n\n`;
  assert.deepEqual(
    kinds(
      'anthropic.messages',
      block('content_block_stop', {}) + block('content_block_delta', { delta: { type: 'text_delta', text: 'x' } }),
    ),
    ['data', 'malformed'],
  );
  const output = (type: string, more: object): string =>
    `data: ${JSON.stringify({ type, output_index: 0, content_index: 0, ...more })}\n\n`;
  assert.deepEqual(
    kinds(
      'openai.responses',
      output('response.output_text.delta', { delta: 'x' }) +
        output('response.output_text.done', { text: 'x' }) +
        output('response.content_part.done', { part: { type: 'output_text', text: 'x' } }) +
        output('response.output_text.delta', { delta: 'y' }),
    ),
    ['data', 'data', 'data', 'malformed'],
  );
});

test('a field that a lenient client takes for data is malformed', () => {
  for (const field of ['Data', ' data', 'DATA', '\ufeffdata', 'data ', '-data']) {
    assert.deepEqual(kinds('openai.chat', `: first\n\n${field}: {"choices":[]}\n\n`), ['comment', 'malformed'], field);
  }
  assert.deepEqual(kinds('openai.chat', '\ufeffdata: {"choices":[]}\n\n'), ['data']);
});

test('an event whose name and type disagree is malformed where clients choose by either', () => {
  const source = 'event: ping\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n';
  assert.deepEqual(kinds('anthropic.messages', source), ['malformed']);
  assert.deepEqual(kinds('openai.responses', 'event: response.created\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n'), [
    'malformed',
  ]);
  assert.deepEqual(kinds('openai.chat', 'event: chunk\ndata: {"choices":[]}\n\n'), ['data']);
});

test('errors are told apart in every form that servers send them', () => {
  for (const [endpoint, source] of [
    ['openai.chat', 'data: {"error":{"message":"x"}}\n\n'],
    ['openai.chat', 'data: {"object":"error","message":"x"}\n\n'],
    ['openai.chat', 'event: error\ndata: {"message":"x"}\n\n'],
    ['openai.chat', 'error: {"code":500}\n\n'],
    ['openai.responses', 'event: error\ndata: {"type":"error","message":"x"}\n\n'],
    ['openai.responses', 'data: {"type":"response.failed","response":{"status":"failed","error":{"message":"x"}}}\n\n'],
    ['anthropic.messages', 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'],
    ['ollama.chat', '{"error":"x"}\n'],
    ['ollama.pull', '{"error":"x"}\n'],
  ] as const) {
    assert.deepEqual(kinds(endpoint, source), ['error'], source);
  }
  assert.deepEqual(kinds('openai.chat', 'data: {"choices":[],"error":null}\n\n'), ['data']);
});

test('an event with more texts, or a stream with more channels, than any server sends is malformed', () => {
  const many = JSON.stringify({ x: Array(100_001).fill('a') });
  assert.equal(format('openai.chat').readWhole(Buffer.from(many)).kind, 'malformed');
  const stream = format('openai.chat').openStream({ maxEventBytes: 1 << 20 });
  const last = Array.from({ length: 50 }, (_, choice) => {
    const tool_calls = Array.from({ length: 100 }, (_, index) => ({ index, function: { arguments: 'x' } }));
    return stream.push(Buffer.from(`data: ${JSON.stringify({ choices: [{ index: choice, delta: { tool_calls } }] })}\n\n`))[0]?.kind;
  });
  assert.deepEqual([last[0], last.at(-1)], ['data', 'malformed']);
});

test('hostile sizes cost linear time', { timeout: 20_000 }, () => {
  const size = 1 << 20;
  const line = (text: string): Buffer => Buffer.from(text);
  for (const source of [
    `data: {"x":"${'\\"'.repeat(size / 2)}"}\n\n`,
    `data: {"x":"${'\\\\'.repeat(size / 2)}"}\n\n`,
    `${'a\r'.repeat(size / 2)}\r`,
    `${'data:\n'.repeat(size / 6)}\n`,
    `: ${' '.repeat(size)}\n\n`,
    `data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":[${'12345678901234567890,'.repeat(20_000)}1]}}]}}]}\n\n`,
    `data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{${Array.from({ length: 20_000 }, (_, i) => `"k ${i}":1`).join()}}}}]}}]}\n\n`,
  ]) {
    for (const event of readStream('openai.chat', [line(source)], 4 * size).events) {
      event.rewrite(new Map(event.texts.map((text) => [text.index, 'same'])), null);
    }
  }
});

test('an upstream event beyond the bound is a fault of the upstream', () => {
  for (const endpoint of ENDPOINTS) {
    const stream = format(endpoint).openStream({ maxEventBytes: 64 });
    assert.throws(
      () => stream.push(Buffer.alloc(65, 120)),
      (error) => error instanceof Fault && error.code === 'upstream_error',
    );
  }
});

test('a last event without its empty line is the end marker or none', () => {
  const delta = 'data: {"choices":[{"index":0,"delta":{"content":"tail"}}]}';
  assert.deepEqual(kinds('openai.chat', delta), ['malformed']);
  assert.deepEqual(kinds('openai.chat', `${delta}\n`), ['malformed']);
  assert.deepEqual(kinds('openai.chat', `${delta}\n\ndata: [DONE]`), ['data', 'done']);
  assert.deepEqual(kinds('ollama.chat', '{"message":{"content":"x"},"done":false}'), ['malformed']);
  assert.deepEqual(kinds('ollama.chat', '{"message":{"content":"x"},"done":true}'), ['data']);
});
