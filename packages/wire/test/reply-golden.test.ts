import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { channels, plain, readStream, STREAMS } from './reply-fixtures.ts';

/** What each recorded stream says: channel, kind and, where it was given whole, every time it was. */
const EXPECTED: Readonly<Record<string, { texts: Record<string, string>; closes: string[]; usage: object | null; models: string[] }>> = {
  'anthropic-messages.sse': {
    texts: {
      'block:0/thinking reasoning': 'Look it up.',
      'block:1/name tool-name whole': 'web_search',
      'block:1/arguments tool-arguments': '{"query":"Lima"}',
      'block:2/result[0].title tool-result whole': 'Lima weather',
      'block:2/result[0].url tool-result whole': 'https://example.org/w',
      'block:2/result[0].page_age tool-result whole': '2 days ago',
      'block:3/text text': 'Mild today.',
      'block:3/citation.cited_text annotation whole': 'Mild all year',
      'block:3/citation.url annotation whole': 'https://example.org/w',
      'block:3/citation.title annotation whole': 'Lima weather',
      'block:4/name tool-name whole': 'mail',
      'block:4/arguments tool-arguments': '{"to":"a@b.example"}',
    },
    closes: ['block:0/thinking', 'block:1/arguments', 'block:3/text', 'block:4/arguments'],
    usage: { input: 42, output: 89, cached: 30, exact: true },
    models: ['claude-opus-4'],
  },
  'llamacpp-chat-crlf.sse': {
    texts: { 'choice:0/reasoning_content reasoning': 'We think', 'choice:0/text text': 'Hi 😀 you' },
    closes: ['choice:0/reasoning_content', 'choice:0/text'],
    usage: { input: 23, output: 7, cached: 3, exact: true },
    models: ['gpt-oss:20b'],
  },
  'ollama-chat.ndjson': {
    texts: {
      'choice:0/reasoning reasoning': 'Think well',
      'choice:0/text text': 'Good day',
      'choice:0/tool:0/name tool-name whole': 'get_weather',
      'choice:0/tool:0/arguments.city#name tool-arguments whole': 'city',
      'choice:0/tool:0/arguments.city tool-arguments whole': 'Lima',
      'choice:0/tool:0/arguments.days#name tool-arguments whole': 'days',
      'choice:0/tool:0/arguments.account#name tool-arguments whole': 'account',
      'choice:0/tool:0/arguments.account tool-arguments whole': '4111111111111111',
      'choice:0/tool:1/name tool-name whole': 'mail',
      'choice:0/tool:1/arguments.to#name tool-arguments whole': 'to',
      'choice:0/tool:1/arguments.to[0] tool-arguments whole': 'a@b.example',
    },
    closes: ['choice:0/reasoning', 'choice:0/text'],
    usage: { input: 26, output: 28, cached: 0, exact: true },
    models: ['llama3.2:3b'],
  },
  'ollama-generate.ndjson': {
    texts: { 'choice:0/text text': 'Why not?' },
    closes: ['choice:0/text'],
    usage: { input: 5, output: 3, cached: 0, exact: true },
    models: ['llama3.2:3b'],
  },
  'ollama-pull.ndjson': {
    texts: { 'status annotation whole': 'pulling manifest|pulling ab1234|verifying sha256 digest|success' },
    closes: [],
    usage: null,
    models: [],
  },
  'openai-chat-refusal.sse': {
    texts: { 'choice:0/refusal refusal': "I'm sorry, no." },
    closes: ['choice:0/refusal'],
    usage: null,
    models: ['gpt-4o-2024-08-06'],
  },
  'openai-chat-tools.sse': {
    texts: {
      'choice:0/text text': 'Let me look.',
      'choice:0/logprobs annotation': 'Let me look.',
      'choice:0/logprobs/others annotation whole': 'Let me\nNay| look.\nNay',
      'choice:0/tool:0/name tool-name': 'get_weather',
      'choice:0/tool:0/arguments tool-arguments': '{"city":"Lima"}',
      'choice:0/tool:1/name tool-name': 'mail',
      'choice:0/tool:1/arguments tool-arguments': '{}',
    },
    closes: [
      'choice:0/tool:0/name',
      'choice:0/tool:1/name',
      'choice:0/text',
      'choice:0/logprobs',
      'choice:0/tool:0/arguments',
      'choice:0/tool:1/arguments',
    ],
    usage: null,
    models: ['gpt-4o-2024-08-06'],
  },
  'openai-responses.sse': {
    texts: {
      'extra:response.instructions annotation whole': 'Answer briefly.|Answer briefly.|Answer briefly.',
      'output:0/summary:0/text reasoning': '**Plan** look it up',
      'output:0/summary:0/text reasoning whole': Array(4).fill('**Plan** look it up').join('|'),
      'output:1/content:0/text text': 'It is mild.',
      'output:1/content:0/text text whole': Array(4).fill('It is mild.').join('|'),
      'output:1/content:0/annotations[0].title annotation whole': Array(4).fill('Lima guide').join('|'),
      'output:1/content:0/annotations[0].url annotation whole': Array(4).fill('https://example.org/lima').join('|'),
      'output:2/name tool-name whole': 'get_weather|get_weather|get_weather',
      'output:2/arguments tool-arguments': '{"city":"Lima"}',
      'output:2/arguments tool-arguments whole': Array(3).fill('{"city":"Lima"}').join('|'),
    },
    closes: ['output:0/summary:0/text', 'output:1/content:0/text', 'output:2/arguments'],
    usage: { input: 37, output: 21, cached: 16, exact: true },
    models: ['gpt-5-2025-08-07'],
  },
  'tgi-chat.sse': {
    texts: { 'choice:0/text text': 'Deep learning.' },
    closes: ['choice:0/text'],
    usage: { input: 5, output: 3, cached: 0, exact: true },
    models: ['HuggingFaceH4/zephyr-7b-beta'],
  },
  'vllm-chat.sse': {
    texts: {
      'choice:0/reasoning reasoning': 'The user greets.',
      'choice:0/reasoning_content reasoning': 'The user greets.',
      'choice:1/text text': 'Grüß Gott 👋',
      'choice:0/text text': 'Hello there',
    },
    closes: ['choice:0/reasoning', 'choice:0/reasoning_content', 'choice:0/text', 'choice:1/text'],
    usage: { input: 11, output: 14, cached: 8, exact: true },
    models: ['/models/Qwen3-8B'],
  },
  'vllm-completions.sse': {
    texts: {
      'choice:0/text text': 'Once upon',
      'choice:0/logprobs annotation': 'Once upon',
      'choice:0/logprobs/others annotation whole': 'Once\n alt| upon\n alt',
    },
    closes: ['choice:0/text', 'choice:0/logprobs'],
    usage: null,
    models: ['facebook/opt'],
  },
};

test('there is an expectation for every recorded stream', () => {
  assert.deepEqual(STREAMS.map(({ name }) => name).sort(), Object.keys(EXPECTED).sort());
});

for (const { name, endpoint, bytes } of STREAMS) {
  test(`${name}: every text, end, count and model name is found, and nothing is malformed`, () => {
    const { events, finished } = readStream(endpoint, [bytes]);
    const expected = EXPECTED[name];
    assert.deepEqual(channels(events), expected?.texts);
    assert.deepEqual(
      events.flatMap((event) => event.closes),
      expected?.closes,
    );
    assert.deepEqual(
      events.reduce<object | null>((last, event) => event.usage ?? last, null),
      expected?.usage,
    );
    assert.deepEqual([...new Set(events.flatMap((event) => event.model ?? []))], expected?.models);
    assert.deepEqual(
      events.filter((event) => event.kind === 'malformed' || event.kind === 'error'),
      [],
    );
    assert.equal(finished, true);
  });

  test(`${name}: read byte by byte and at random cuts it gives the same events`, () => {
    const whole = readStream(endpoint, [bytes]).events.map(plain);
    const single = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    assert.deepEqual(readStream(endpoint, single).events.map(plain), whole);
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        assert.deepEqual(readStream(endpoint, chunks).events.map(plain), whole);
      }),
      { numRuns: 25 },
    );
  });

  test(`${name}: cut short anywhere, the events before the cut stay as they were`, () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => {
        const { events } = readStream(endpoint, [bytes.subarray(0, length)]);
        const whole = readStream(endpoint, [bytes]).events;
        for (const [i, event] of events.slice(0, -1).entries()) assert.deepEqual(plain(event), plain(whole[i] ?? event));
      }),
      { numRuns: 25 },
    );
  });
}
