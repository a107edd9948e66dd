import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EndpointId } from '../src/endpoint.ts';
import type { ReplyEvent } from '../src/reply/format.ts';
import { format, frame, payloadOf, readOne, readStream, STREAMS } from './reply-fixtures.ts';

const NONE: ReadonlyMap<number, string> = new Map();

/** Every place where two JSON values differ, with what stands there. */
function differences(before: unknown, after: unknown, path: string = '$'): { path: string; before: unknown; after: unknown }[] {
  if (typeof before === 'object' && before !== null && typeof after === 'object' && after !== null) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => differences(Reflect.get(before, name), Reflect.get(after, name), `${path}.${name}`));
  }
  return Object.is(before, after) ? [] : [{ path, before, after }];
}

const replacement = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '"', '\\', '\n', '\ud83d', '\u2028', '[EMAIL_1]'),
);

test('a rewritten event has the new texts and the new model, and is otherwise the same JSON in the same frame', () => {
  const events = STREAMS.flatMap(({ endpoint, bytes }) => readStream(endpoint, [bytes]).events.map((event) => ({ endpoint, event })));
  const readable = events.filter(({ event }) => event.kind === 'data' && (event.texts.length > 0 || event.model !== null));
  fc.assert(
    fc.property(
      fc.constantFrom(...readable),
      fc.array(replacement, { minLength: 40, maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      fc.boolean(),
      ({ endpoint, event }, news, chosen, renames) => {
        // Names and tables of log-probabilities have tests of their own.
        const texts = event.texts.filter((text) => !/#name$|logprobs/.test(text.channel) && chosen[text.index % 40] === true);
        const changes = new Map(texts.map((text) => [text.index, news[text.index % 40] ?? '']));
        const model = renames ? 'public "name" é' : null;
        const bytes = event.rewrite(changes, model);
        const found = differences(payloadOf(event.raw), payloadOf(bytes)).filter(({ path }) => !/logprobs|context/.test(path));
        const expected = texts.map((text) => [text.text, changes.get(text.index)]).filter(([before, after]) => before !== after);
        if (model !== null && event.model !== null) expected.push([event.model, model]);
        assert.deepEqual(found.map(({ before, after }) => [String(before), after]).sort(), expected.sort());
        // The frame around the payload, its line ends included, stays.
        const shape = (buffer: Buffer): string => buffer.toString('latin1').replace(/\{.*\}/s, '{}');
        assert.equal(shape(bytes), shape(event.raw));
        // Reading it again finds the new texts where the old ones were.
        const again = readStream(endpoint, [bytes]).events[0];
        const kept = (event: ReplyEvent | undefined): string[] => (event?.texts ?? []).map((text) => text.channel);
        for (const text of texts) if (changes.get(text.index) !== '') assert.ok(kept(again).includes(text.channel), text.channel);
        assert.equal(again?.kind, event.kind);
      },
    ),
    { numRuns: 400 },
  );
});

test('nothing to change gives the very bytes that came', () => {
  for (const { endpoint, bytes } of STREAMS) {
    for (const event of readStream(endpoint, [bytes]).events) {
      assert.equal(event.rewrite(NONE, null), event.raw);
      assert.equal(event.rewrite(new Map(event.texts.map((text) => [text.index, text.text])), event.model), event.raw);
    }
  }
});

test('white space, order, escapes and numbers outside the changed values stay byte for byte', () => {
  const json =
    '{ "choices" : [ {"delta":{ "content" :\t"old \\u0041" , "x":1.50e+1}, "index":0 } ], "model" : "up\\u002fstream","big":12345678901234567890, "model2":"\\/" }';
  const event = readOne('openai.chat', json);
  assert.equal(
    event.rewrite(new Map([[0, 'new']]), 'pub').toString(),
    `data: ${json.replace('"old \\u0041"', '"new"').replace('"up\\u002fstream"', '"pub"')}\n\n`,
  );
});

test('a payload over several data lines becomes one; the other lines stay, without their words once the model is renamed', () => {
  const source =
    ': note\r\nevent: message\r\ndata: {"choices":[{"index":0,\r\ndata:  "delta":{"content":"old"}}],\r\nid: 7\r\ndata: "model":"up"}\r\n\r\n';
  const { events } = readStream('openai.chat', [Buffer.from(source)]);
  assert.deepEqual(
    events.map(({ kind, texts }) => [kind, texts.map(({ text }) => text)]),
    [['data', ['old', 'note']]],
  );
  assert.equal(events[0]?.rewrite(NONE, null).toString(), source);
  assert.equal(
    events[0]?.rewrite(new Map([[0, 'new']]), 'pub').toString(),
    ': \r\nevent: message\r\ndata: {"choices":[{"index":0,  "delta":{"content":"new"}}], "model":"pub"}\r\nid: 7\r\n\r\n',
  );
});

test('words outside the payload can be rewritten too, and cannot become lines of their own', () => {
  const source = ': secret one\nx-note: secret two\nid: secret three\nevent: Odd Name\ndata: {"choices":[]}\n\n';
  const [event] = readStream('openai.chat', [Buffer.from(source)]).events;
  assert.deepEqual(
    event?.texts.map(({ text, kind, mode }) => [text, kind, mode]),
    ['secret one', 'x-note: secret two', 'id: secret three', 'Odd Name'].map((text) => [text, 'annotation', 'whole']),
  );
  assert.equal(
    event
      ?.rewrite(
        new Map([
          [0, 'a\n\ndata: {}'],
          [1, 'b'],
          [2, 'c'],
          [3, 'd'],
        ]),
        null,
      )
      .toString(),
    ': a data: {}\n: b\n: c\n: d\ndata: {"choices":[]}\n\n',
  );
});

test('a changed text takes its log-probabilities and token ids with it, those of other choices stay', () => {
  const choice = (index: number, content: string): object => ({
    index,
    delta: { content },
    token_ids: [1, 2],
    logprobs: { content: [{ token: content, logprob: -1, bytes: [...Buffer.from(content)], top_logprobs: [] }] },
  });
  const payload = { choices: [choice(0, 'one'), choice(1, 'two')], prompt_token_ids: [5] };
  const event = readOne('openai.chat', payload);
  const text = event.texts.find(({ channel }) => channel === 'choice:1/text');
  const rewritten = payloadOf(event.rewrite(new Map([[text?.index ?? -1, '***']]), null));
  assert.deepEqual(rewritten, {
    choices: [payload.choices[0], { index: 1, delta: { content: '***' }, token_ids: [], logprobs: null }],
    prompt_token_ids: [],
  });
  const table = event.texts.find(({ channel }) => channel === 'choice:0/logprobs');
  const dropped = payloadOf(event.rewrite(new Map([[table?.index ?? -1, '']]), null));
  assert.deepEqual(dropped, {
    choices: [{ ...choice(0, 'one'), token_ids: [], logprobs: null }, payload.choices[1]],
    prompt_token_ids: [],
  });
});

test('once a text of a stream was changed, a later repetition of it as token ids is emptied', () => {
  const line = (more: object): Buffer => frame('ollama.generate', JSON.stringify({ model: 'm', ...more }));
  const chunks = [line({ response: 'my secret', done: false }), line({ response: '', done: true, context: [7, 8, 9] })];
  const kept = readStream('ollama.generate', chunks).events;
  assert.equal(kept[1]?.rewrite(NONE, null), kept[1]?.raw);
  const { events } = readStream('ollama.generate', chunks);
  events[0]?.rewrite(new Map([[0, 'my ***']]), null);
  assert.equal(events[1]?.rewrite(NONE, null).toString(), '{"model":"m","response":"","done":true,"context":[]}\n');
});

test('names and numbers of tool arguments are replaced, and two names never become one', () => {
  const json =
    '{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a@x.example":1,"b@x.example":{"c":12345678901234567890},"[M]":0}}}]},"model":"m"}';
  const event = readOne('ollama.chat', json);
  const changes = new Map(
    event.texts.filter(({ text }) => text.includes('@') || text.startsWith('1234')).map(({ index }) => [index, '[M]']),
  );
  assert.equal(changes.size, 3);
  assert.equal(
    event.rewrite(changes, null).toString(),
    `${json.replace('"a@x.example"', '"[M]_2"').replace('"b@x.example"', '"[M]_3"').replace('12345678901234567890', '"[M]"')}\n`,
  );
});

test('half a surrogate pair at the end of a delta is kept, and written as an escape where it is rewritten', () => {
  const event = readOne('openai.chat', '{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}');
  assert.equal(event.texts[0]?.text, 'a\ud83d');
  assert.equal(
    event.rewrite(new Map([[0, 'b\ud83d']]), null).toString(),
    'data: {"choices":[{"index":0,"delta":{"content":"b\\ud83d"}}]}\n\n',
  );
});

test('the error event of each dialect is one that its own reader takes for an error', () => {
  const endpoints: readonly EndpointId[] = [
    'openai.chat',
    'openai.completions',
    'openai.responses',
    'anthropic.messages',
    'ollama.chat',
    'ollama.pull',
  ];
  for (const endpoint of endpoints) {
    const bytes = format(endpoint).errorEvent({ message: 'Stopped "here"\n.', code: 'content_blocked', type: 'invalid_request_error' });
    const { events, finished } = readStream(endpoint, [bytes]);
    assert.deepEqual([events.length, events[0]?.kind, finished], [1, 'error', false]);
    assert.ok(bytes.toString().includes('content_blocked'));
  }
});
