import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EndpointId } from '../src/endpoint.ts';
import { channels, format } from './reply-fixtures.ts';

const WHOLES: Readonly<Record<string, object>> = JSON.parse(readFileSync(new URL('./testdata/reply/wholes.json', import.meta.url), 'utf8'));

function read(endpoint: EndpointId): { texts: Record<string, string>; event: ReturnType<ReturnType<typeof format>['readWhole']> } {
  // The literal of a number beyond 2^53 must reach the reader as it is written.
  const body = JSON.stringify(WHOLES[endpoint]).replace('12345678901234567000', '12345678901234567890');
  const event = format(endpoint).readWhole(Buffer.from(body));
  assert.equal(event.kind, 'data');
  assert.equal(event.raw.toString(), body);
  return { texts: channels([event]), event };
}

test('a whole chat reply: all choices, content parts as one text, tools old and new, audio, citations, stop words', () => {
  const { texts, event } = read('openai.chat');
  assert.deepEqual(texts, {
    'choice:0/text text whole': 'Hello there',
    'choice:0/reasoning_content reasoning whole': 'greet',
    'choice:0/annotations[0].url_citation.title annotation whole': 'A title',
    'choice:0/annotations[0].url_citation.url annotation whole': 'https://example.org/a',
    'choice:0/tool:0/name tool-name whole': 'mail',
    'choice:0/tool:0/arguments tool-arguments whole': '{"to":"a@b.example"}',
    'choice:0/tool:1/name tool-name whole': 'run',
    'choice:0/tool:1/arguments tool-arguments whole': 'ls -l',
    'choice:0/audio/transcript transcript whole': 'Hello spoken',
    'choice:0/logprobs annotation whole': 'Hello',
    'choice:1/text text': 'Part one part two',
    'choice:1/thinking reasoning': 'hidden',
    'choice:1/function/name tool-name whole': 'legacy',
    'choice:1/function/arguments tool-arguments whole': '{}',
    'extra:choices[1].stop_reason annotation whole': 'END OF TEXT',
  });
  assert.deepEqual(event.usage, { input: 9, output: 12, cached: 0, exact: true });
  assert.deepEqual(event.closes, ['choice:1/text', 'choice:1/thinking']);
  assert.equal(event.model, '/models/Qwen3-8B');
});

test('a whole completion', () => {
  assert.deepEqual(read('openai.completions').texts, {
    'choice:0/text text whole': 'Once upon',
    'choice:0/logprobs annotation whole': 'Once upon',
    'choice:0/logprobs/others annotation whole': 'Once\n on',
  });
});

test('a whole response: every kind of output item, and what it repeats of the request', () => {
  const { texts, event } = read('openai.responses');
  assert.deepEqual(texts, {
    'extra:metadata.team annotation whole': 'blue team',
    'extra:tools[0].type annotation whole': 'function',
    'extra:tools[0].name annotation whole': 'mail',
    'extra:tools[0].description annotation whole': 'Sends mail',
    'output:0/summary:0/text reasoning whole': 'a summary',
    'output:0/content:0/reasoning reasoning whole': 'raw thought',
    'output:1/content:0/text text whole': 'The answer',
    'output:1/content:0/logprobs annotation whole': 'The answer',
    'output:1/content:1/refusal refusal whole': 'No more',
    'output:2/name tool-name whole': 'mail',
    'output:2/arguments tool-arguments whole': '{"a":1}',
    'output:3/name tool-name whole': 'code',
    'output:3/input tool-arguments whole': 'print(1)',
    'output:4/name tool-name whole': 'roll',
    'output:4/server tool-name whole': 'dice',
    'output:4/arguments tool-arguments whole': '{}',
    'output:4/output tool-result whole': 'rolled 4',
    'output:5/code tool-arguments whole': '1+1',
    'output:5/outputs[0].logs tool-result whole': 'printed two',
    'output:6/action.query tool-arguments whole': 'lima weather',
    'output:6/action.sources[0].url tool-arguments whole': 'https://example.org/s',
    'output:7/queries[0] tool-arguments whole': 'a query',
    'output:7/results[0].filename tool-result whole': 'plan.pdf',
    'output:7/results[0].text tool-result whole': 'file words',
    'output:8/command:0/command tool-arguments whole': 'ls -l',
    'output:8/command:1/command tool-arguments whole': 'pwd',
    'output:9/operation.type tool-arguments whole': 'update_file',
    'output:9/operation.path tool-arguments whole': 'a.txt',
    'output:9/operation.diff tool-arguments whole': '+new line',
    'output:10/revised_prompt text whole': 'a red cat',
  });
  assert.deepEqual(event.usage, { input: 3, output: 4, cached: 1, exact: true });
});

test('vectors have no text; ranked documents have', () => {
  assert.deepEqual(read('openai.embeddings').texts, {});
  assert.deepEqual(read('openai.embeddings').event.usage, { input: 4, output: 0, cached: 0, exact: true });
  assert.deepEqual(read('ollama.embed').texts, {});
  assert.deepEqual(read('ollama.embed').event.usage, { input: 8, output: 0, cached: 0, exact: true });
  assert.deepEqual(read('ollama.embeddings').texts, {});
  assert.deepEqual(read('anthropic.count-tokens').texts, {});
  assert.deepEqual(read('openai.rerank').texts, {
    'result:1/document.text tool-result whole': 'second document',
    'result:0/document tool-result whole': 'first document',
  });
  assert.deepEqual(read('openai.rerank').event.usage, { input: 30, output: 0, cached: 0, exact: true });
});

test('a whole message: names and long numbers of tool arguments are text, as they are written', () => {
  const { texts, event } = read('anthropic.messages');
  assert.deepEqual(texts, {
    'block:0/thinking reasoning whole': 'inner words',
    'block:1/text text whole': 'outer words',
    'block:1/citations[0].cited_text annotation whole': 'quoted words',
    'block:1/citations[0].document_title annotation whole': 'Doc title',
    'block:2/name tool-name whole': 'mail',
    'block:2/arguments.to#name tool-arguments whole': 'to',
    'block:2/arguments.to tool-arguments whole': 'a@b.example',
    'block:2/arguments.card#name tool-arguments whole': 'card',
    'block:2/arguments.card tool-arguments whole': '4111111111111111',
    'block:2/arguments.huge#name tool-arguments whole': 'huge',
    'block:2/arguments.huge tool-arguments whole': '12345678901234567890',
    'block:2/arguments.n#name tool-arguments whole': 'n',
    'block:2/arguments.list#name tool-arguments whole': 'list',
    'block:2/arguments.list[0] tool-arguments whole': 'x y',
  });
  assert.deepEqual(event.usage, { input: 8, output: 6, cached: 2, exact: true });
});

test('whole Ollama replies; the names and the address of a remote upstream go together', () => {
  const { texts, event } = read('ollama.chat');
  assert.deepEqual(texts, {
    'choice:0/text text whole': 'Hi you',
    'choice:0/reasoning reasoning whole': 'muse',
    'choice:0/tool:0/name tool-name whole': 'f',
    'choice:0/tool:0/arguments.q#name tool-arguments whole': 'q',
    'choice:0/tool:0/arguments.q tool-arguments whole': 'some words',
    'choice:0/logprobs annotation whole': 'Hi you',
    'choice:0/logprobs/others annotation whole': 'Yo',
  });
  const renamed: unknown = JSON.parse(event.rewrite(new Map(), 'public').toString());
  assert.deepEqual(renamed, { ...WHOLES['ollama.chat'], model: 'public', remote_model: 'public', remote_host: '' });
  assert.deepEqual(read('ollama.generate').texts, { 'choice:0/text text whole': 'Because' });
  assert.deepEqual(Object.values(read('ollama.show').texts), [
    'MIT words',
    'FROM /models/blob\n',
    'stop "x"',
    '{{ .Prompt }}',
    'Be kind.',
    'gguf',
    'llama',
    'llama',
    '3.2B',
    'Q4_K_M',
    'llama',
    'completion',
    'tools',
    'an example',
  ]);
});

test('an empty body, as copy and delete answer, is a comment', () => {
  for (const endpoint of ['ollama.copy', 'ollama.delete'] as const) {
    const event = format(endpoint).readWhole(Buffer.alloc(0));
    assert.deepEqual([event.kind, event.texts, event.rewrite(new Map(), 'x').length], ['comment', [], 0]);
  }
});
