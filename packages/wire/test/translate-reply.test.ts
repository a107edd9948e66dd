import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import type { JsonObject } from '../src/json/document.ts';
import { CLIENTS, type ClientId, drain, FOLDER, frames, get, REPLY, STREAMS, streamed, translation, turnOf } from './translate-fixtures.ts';

/** `SALLYPORT_WRITE_GOLDEN=1` writes the expected files anew; what changed is then to be read, not believed. */
const writing = process.env['SALLYPORT_WRITE_GOLDEN'] === '1';

const PAIRS = STREAMS.flatMap((stream) => CLIENTS.filter((from) => from !== stream.to).map((from) => ({ ...stream, from })));

describe('streams as recorded from servers', () => {
  for (const { name, to, from, bytes } of PAIRS) {
    test(`${name} for a client of ${from}`, () => {
      const { bytes: out, fault } = streamed(from, to, [bytes]);
      assert.equal(fault, null);
      const golden = new URL(`${name}.${from}.txt`, FOLDER);
      if (writing) writeFileSync(golden, out);
      assert.equal(out.toString(), readFileSync(golden, 'utf8'));
      turnOf(from, out);
    });
  }

  test('are the same however they are cut', () => {
    for (const { name, to, from, bytes } of PAIRS) {
      const whole = streamed(from, to, [bytes]).bytes.toString();
      for (let at = 1; at < bytes.length; at += 1) {
        const halves = streamed(from, to, [bytes.subarray(0, at), bytes.subarray(at)]);
        if (halves.fault !== null || halves.bytes.toString() !== whole) assert.fail(`${name} for ${from} cut at ${at}`);
      }
      const single = streamed(
        from,
        to,
        Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
      );
      assert.equal(single.bytes.toString(), whole);
    }
  });

  test('never tell the name the server has for the model', () => {
    for (const { to, from, bytes } of PAIRS) assert.doesNotMatch(streamed(from, to, [bytes]).bytes.toString(), /secret/);
  });

  test('without their end are faults, whatever came before', () => {
    for (const { name, to, from, bytes } of PAIRS) {
      const text = bytes.toString('utf8').trimEnd();
      const last = Buffer.from(
        text.slice(0, Math.max(text.lastIndexOf('event: message_stop'), text.lastIndexOf('data: [DONE]'), text.lastIndexOf('data:[DONE]'))),
      );
      const { fault } = streamed(from, to, [last]);
      assert.ok(fault instanceof Fault && fault.code === 'upstream_error', `${name} for ${from}`);
    }
  });
});

describe('what a server may not send', () => {
  const text = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n';
  const tail = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  const bad: Readonly<Record<string, string>> = {
    'an error': 'data: {"error":{"message":"CUDA out of memory on host-7","type":"server_error"}}\n\n',
    'no JSON': 'data: {"choices":\n\n',
    'a name twice': 'data: {"choices":[],"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n',
    'no UTF-8': 'data: {"choices":[{"index":0,"delta":{"content":"\u00ff"}}]}\n\n',
    'a second choice': 'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n',
    'a whole message in a stream': 'data: {"choices":[{"index":0,"message":{"content":"x"}}]}\n\n',
    'a number for text': 'data: {"choices":[{"index":0,"delta":{"content":7}}]}\n\n',
    'arguments of no call': 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}\n\n',
    'two calls at one index':
      'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{"}}]}}]}\n\n' +
      'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"y","arguments":"{}"}}]}}]}\n\n',
    'a call of the older kind': 'data: {"choices":[{"index":0,"delta":{"function_call":{"name":"x","arguments":"{}"}}}]}\n\n',
    'an aborted answer': 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}\n\n',
    'text after the end': `${tail.slice(0, tail.indexOf('data: [DONE]'))}${text}`,
    'an event after the end marker': `${tail}${text}`,
  };
  for (const [name, events] of Object.entries(bad)) {
    test(name, () => {
      const bytes = Buffer.from(text + events + tail, name === 'no UTF-8' ? 'latin1' : 'utf8');
      for (const from of ['anthropic.messages', 'ollama.chat', 'openai.responses'] as const) {
        const { bytes: out, fault } = streamed(from, 'openai.chat', [bytes]);
        assert.ok(fault instanceof Fault);
        assert.equal(fault.code, 'upstream_error');
        assert.match(out.toString(), /Hi/);
        assert.doesNotMatch(`${fault.message}${out}`, /host-7/);
        const single = streamed(
          from,
          'openai.chat',
          Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
        );
        assert.equal(single.bytes.toString(), out.toString());
        assert.ok(single.fault instanceof Fault);
      }
    });
  }

  test('an event without an end', () => {
    const translator = translation('ollama.chat', 'openai.chat').openReply(REPLY);
    const chunk = Buffer.alloc(1024 * 1024, 'a');
    const { fault } = drain(translator, [Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'), ...Array(9).fill(chunk)]);
    assert.ok(fault instanceof Fault && fault.code === 'upstream_error');
  });

  test('arguments that are no object, where the client wants one', () => {
    const call =
      'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"[1]"}}]}}]}\n\n';
    const { fault } = streamed('ollama.chat', 'openai.chat', [Buffer.from(call + tail)]);
    assert.ok(fault instanceof Fault && fault.code === 'upstream_error');
  });

  test('noise of any kind ends in nothing but a fault', () => {
    const piece = fc.oneof(
      fc.constantFrom(text, tail, ...Object.values(bad), ...STREAMS.flatMap(({ bytes }) => bytes.toString('utf8').split(/(?<=\n\n)/))),
      fc.json().map((json) => `data: ${json}\n\n`),
      fc
        .record({ choices: fc.array(fc.record({ index: fc.nat(2), delta: fc.jsonValue(), finish_reason: fc.jsonValue() })) })
        .map((value) => `data: ${JSON.stringify(value)}\n\n`),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom(...CLIENTS), fc.boolean(), (pieces, from, toMessages) => {
        const to = toMessages ? 'anthropic.messages' : 'openai.chat';
        if (from === to) return;
        const bytes = Buffer.from(pieces.join(''));
        const once = streamed(from, to, [bytes]);
        assert.ok(once.fault === null || once.fault instanceof Fault);
        const twice = streamed(from, to, [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)]);
        assert.equal(twice.bytes.toString(), once.bytes.toString());
        assert.equal(twice.fault === null, once.fault === null);
        try {
          translation(from, to).openReply(REPLY).whole(bytes);
        } catch (error) {
          assert.ok(error instanceof Fault);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** A turn as a server writes it: chat completions chunks. */
interface Piece {
  readonly kind: 'content' | 'reasoning_content';
  readonly text: string;
}
const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const turn = fc.record({
  pieces: fc.array(fc.record({ kind: fc.constantFrom('reasoning_content' as const, 'content' as const), text: word }), { maxLength: 8 }),
  calls: fc.array(fc.record({ name: fc.stringMatching(/^[a-z_]{1,12}$/), input: fc.dictionary(word, fc.jsonValue(), { maxKeys: 3 }) }), {
    maxLength: 3,
  }),
  cut: fc.integer({ min: 1, max: 9 }),
});

function chatEvents(pieces: readonly Piece[], calls: readonly { name: string; input: object }[], cut: number): Buffer {
  const chunk = (delta: object, finish_reason: string | null = null): string =>
    `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  const texts = pieces.map(({ kind, text }) => chunk({ [kind]: text }));
  const starts = calls.map(({ name }, index) =>
    chunk({ tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '' } }] }),
  );
  // Arguments of all calls side by side, `cut` characters at a time.
  const written = calls.map(({ input }) => JSON.stringify(input));
  const rounds = Math.ceil(Math.max(0, ...written.map((json) => json.length)) / cut);
  const grown = Array.from({ length: rounds }, (_, round) =>
    written.flatMap((json, index) => {
      const part = json.slice(round * cut, (round + 1) * cut);
      return part === '' ? [] : [chunk({ tool_calls: [{ index, function: { arguments: part } }] })];
    }),
  ).flat();
  const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 } })}\n\n`;
  return Buffer.from([...texts, ...starts, ...grown, chunk({}, 'stop'), usage, 'data: [DONE]\n\n'].join(''));
}

describe('a turn of any shape', () => {
  const joined = (pieces: readonly Piece[], kind: Piece['kind']): string =>
    pieces.map((piece) => (piece.kind === kind ? piece.text : '')).join('');

  for (const from of CLIENTS.filter((id) => id !== 'openai.chat')) {
    test(`reaches a client of ${from} whole`, () => {
      fc.assert(
        fc.property(turn, ({ pieces, calls, cut }) => {
          const { bytes, fault } = streamed(from, 'openai.chat', [chatEvents(pieces, calls, cut)]);
          assert.equal(fault, null);
          const seen = turnOf(from, bytes);
          assert.deepEqual([seen.text, seen.reasoning], [joined(pieces, 'content'), joined(pieces, 'reasoning_content')]);
          assert.deepEqual(
            seen.calls.map(({ name, arguments: args }) => ({ name, input: JSON.parse(args) as unknown })),
            calls.map(({ name, input }) => ({ name, input: JSON.parse(JSON.stringify(input)) as unknown })),
          );
        }),
        { numRuns: 200 },
      );
    });
  }

  test('survives the way to Anthropic and back', () => {
    fc.assert(
      fc.property(turn, ({ pieces, calls, cut }) => {
        const there = streamed('anthropic.messages', 'openai.chat', [chatEvents(pieces, calls, cut)]);
        const back = streamed('openai.chat', 'anthropic.messages', [there.bytes]);
        assert.deepEqual([there.fault, back.fault], [null, null]);
        const seen = turnOf('openai.chat', back.bytes);
        assert.equal(seen.text, joined(pieces, 'content'));
        assert.equal(seen.reasoning, joined(pieces, 'reasoning_content'));
        assert.deepEqual(
          seen.calls,
          calls.map(({ name, input }) => ({ name, arguments: JSON.stringify(input) })),
        );
        assert.equal(seen.finish, calls.length > 0 ? 'tool_calls' : 'stop');
        assert.deepEqual(get(frames(back.bytes).at(-1), 'usage', 'total_tokens'), 16);
      }),
      { numRuns: 200 },
    );
  });
});

describe('whole replies', () => {
  const cases: { name: string; to: 'openai.chat' | 'anthropic.messages'; reply: JsonObject; expected: Record<string, JsonObject> }[] =
    JSON.parse(readFileSync(new URL('wholes.json', FOLDER), 'utf8'));
  for (const one of cases) {
    for (const from of CLIENTS.filter((id) => id !== one.to)) {
      test(`${one.name} for a client of ${from}`, () => {
        const translator = translation(from, one.to).openReply(REPLY);
        const whole = translator.whole(Buffer.from(JSON.stringify(one.reply))).toString();
        if (writing) one.expected[from] = JSON.parse(whole);
        assert.deepEqual(JSON.parse(whole), one.expected[from]);
        assert.doesNotMatch(whole, /secret/);
      });
    }
  }
  test('are all expected', () => {
    if (writing) writeFileSync(new URL('wholes.json', FOLDER), `${JSON.stringify(cases, null, 1)}\n`);
    assert.ok(cases.length > 5);
  });

  test('keep numbers beyond 2^53', () => {
    const reply = Buffer.from(
      '{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":' +
        '{"name":"x","arguments":"{\\"id\\":12345678901234567890}"}}]},"finish_reason":"tool_calls"}]}',
    );
    for (const from of ['anthropic.messages', 'ollama.chat'] as const) {
      assert.match(translation(from, 'openai.chat').openReply(REPLY).whole(reply).toString(), /"id":12345678901234567890/);
    }
  });

  const refused: Readonly<Record<string, string>> = {
    'an error': '{"error":{"message":"CUDA out of memory"}}',
    'no choice': '{"choices":[]}',
    nothing: '',
    'no object': '[]',
    'a page': '<html></html>',
  };
  for (const [name, body] of Object.entries(refused)) {
    test(`${name} is a fault`, () => {
      for (const from of CLIENTS.filter((id): id is Exclude<ClientId, 'openai.chat'> => id !== 'openai.chat')) {
        assert.throws(
          () => translation(from, 'openai.chat').openReply(REPLY).whole(Buffer.from(body)),
          (error) => error instanceof Fault && error.code === 'upstream_error' && !error.message.includes('CUDA'),
        );
      }
    });
  }
});

describe('embeddings', () => {
  const vectors = {
    object: 'list',
    model: 'secret',
    data: [
      { index: 1, embedding: [3, 4.5] },
      { index: 0, embedding: [1e-7, -2] },
    ],
    usage: { prompt_tokens: 6, total_tokens: 6 },
  };

  test('come in the order of the inputs', () => {
    const translator = translation('ollama.embed', 'openai.embeddings').openReply({ ...REPLY, request: { input: ['a', 'b'] } });
    assert.deepEqual(JSON.parse(translator.whole(Buffer.from(JSON.stringify(vectors))).toString()), {
      model: 'public',
      embeddings: [
        [1e-7, -2],
        [3, 4.5],
      ],
      total_duration: 0,
      load_duration: 0,
      prompt_eval_count: 6,
    });
    assert.deepEqual(translator.usage, { input: 6, output: 0, cached: 0, exact: true });
  });

  test('that are too few, twice the same, no numbers or an error are faults', () => {
    const bad = [
      { data: [{ index: 0, embedding: [1] }] },
      {
        data: [
          { index: 0, embedding: [1] },
          { index: 0, embedding: [2] },
        ],
      },
      {
        data: [
          { index: 0, embedding: [1] },
          { index: 7, embedding: [2] },
        ],
      },
      {
        data: [
          { index: 0, embedding: ['1'] },
          { index: 1, embedding: [2] },
        ],
      },
      {
        data: [
          { index: 0, embedding: 'AAAA' },
          { index: 1, embedding: [2] },
        ],
      },
      { error: 'out of memory' },
      {},
    ];
    for (const reply of bad) {
      const translator = translation('ollama.embed', 'openai.embeddings').openReply({ ...REPLY, request: { input: ['a', 'b'] } });
      assert.throws(() => translator.whole(Buffer.from(JSON.stringify(reply))), Fault);
    }
  });
});
