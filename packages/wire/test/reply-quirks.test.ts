import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channels, format, readStream } from './reply-fixtures.ts';

const sse = (...events: object[]): Buffer[] => events.map((event) => Buffer.from(`data: ${JSON.stringify(event)}\n\n`));

test('a responses stream without output positions is followed by item ids', () => {
  const item = (id: string, more: object): object => ({ id, type: 'message', role: 'assistant', ...more });
  const part = (text: string): object => ({ type: 'output_text', text, annotations: [] });
  const { events, finished } = readStream(
    'openai.responses',
    sse(
      { type: 'response.output_item.added', item: { id: 'rs_1', type: 'reasoning', summary: [], content: [] } },
      { type: 'response.reasoning_text.delta', item_id: 'rs_1', delta: 'think' },
      {
        type: 'response.output_item.done',
        item: { id: 'rs_1', type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'think' }] },
      },
      { type: 'response.output_item.added', item: item('msg_1', { content: [] }) },
      { type: 'response.content_part.added', item_id: 'msg_1', part: part('') },
      { type: 'response.output_text.delta', item_id: 'msg_1', delta: 'Hel' },
      { type: 'response.output_text.delta', item_id: 'msg_1', delta: 'lo' },
      { type: 'response.output_text.done', item_id: 'msg_1', text: 'Hello' },
      {
        type: 'response.completed',
        response: {
          status: 'completed',
          output: [{ id: 'rs_1', type: 'reasoning', summary: [] }, item('msg_1', { content: [part('Hello')] })],
        },
      },
    ),
  );
  assert.deepEqual(channels(events), {
    'output:0/content:0/reasoning reasoning': 'think',
    'output:0/content:0/reasoning reasoning whole': 'think',
    'output:1/content:0/text text': 'Hello',
    'output:1/content:0/text text whole': 'Hello|Hello',
  });
  assert.deepEqual(
    events.map(({ closes }) => closes).filter((closes) => closes.length > 0),
    [['output:0/content:0/reasoning'], ['output:1/content:0/text']],
  );
  assert.equal(finished, true);
});

test('an item that is added with a beginning grows from it', () => {
  const { events } = readStream(
    'openai.responses',
    sse(
      { type: 'response.output_item.added', output_index: 0, item: { id: 'fc', type: 'function_call', name: 'f', arguments: '{"a' } },
      { type: 'response.function_call_arguments.delta', output_index: 0, item_id: 'fc', delta: '":1}' },
      { type: 'response.function_call_arguments.done', output_index: 0, item_id: 'fc', name: 'f', arguments: '{"a":1}' },
    ),
  );
  assert.equal(channels(events)['output:0/arguments tool-arguments'], '{"a":1}');
});

test('shell, code, custom tool and audio deltas are growing texts; a type that no plan names with a delta is one too', () => {
  const { events } = readStream(
    'openai.responses',
    sse(
      { type: 'response.shell_call_command.added', output_index: 0, command_index: 1, command: '' },
      { type: 'response.shell_call_command.delta', output_index: 0, command_index: 1, delta: 'rm ' },
      { type: 'response.shell_call_command.delta', output_index: 0, command_index: 1, delta: '-rf' },
      {
        type: 'response.shell_call_output_content.delta',
        output_index: 1,
        command_index: 0,
        item_id: 'x',
        delta: { stdout: 'out', stderr: 'err' },
      },
      { type: 'response.code_interpreter_call_code.delta', output_index: 2, item_id: 'c', delta: 'print' },
      { type: 'response.custom_tool_call_input.delta', output_index: 3, item_id: 't', delta: 'go' },
      { type: 'response.mcp_call_arguments.delta', output_index: 4, item_id: 'm', delta: '{}' },
      { type: 'response.refusal.delta', output_index: 5, content_index: 0, item_id: 'r', delta: 'No' },
      { type: 'response.audio.transcript.delta', delta: 'spoken' },
      { type: 'response.audio.delta', delta: 'UklGRg==' },
      {
        type: 'response.image_generation_call.partial_image',
        output_index: 6,
        item_id: 'i',
        partial_image_b64: 'iVBORw0KGgo=',
        partial_image_index: 0,
      },
      { type: 'response.novel_thing.delta', output_index: 7, item_id: 'n', delta: 'odd' },
      { type: 'response.novel_thing.delta', output_index: 7, item_id: 'n', delta: 'er' },
    ),
  );
  assert.deepEqual(channels(events), {
    'output:0/command:1/command tool-arguments': 'rm -rf',
    'output:1/command:0/stdout tool-result': 'out',
    'output:1/command:0/stderr tool-result': 'err',
    'output:2/code tool-arguments': 'print',
    'output:3/input tool-arguments': 'go',
    'output:4/arguments tool-arguments': '{}',
    'output:5/content:0/refusal refusal': 'No',
    'audio/transcript transcript': 'spoken',
    'output:7/extra:delta annotation': 'odder',
  });
});

test('an end marker of another dialect after the message is only an end marker', () => {
  const { events, finished } = readStream('anthropic.messages', [
    Buffer.from('event: message_stop\ndata: {"type":"message_stop"}\n\ndata: [DONE]\n\n'),
  ]);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['done', 'done'],
  );
  assert.equal(finished, true);
});

test('tool calls without a number are told apart by their place, and numbers that Ollama gives are kept', () => {
  const chunk = {
    choices: [{ delta: { tool_calls: [{ function: { name: 'a', arguments: '{}' } }, { function: { name: 'b', arguments: '[]' } }] } }],
  };
  const { events } = readStream('openai.chat', sse(chunk));
  assert.deepEqual(Object.keys(channels(events)), [
    'choice:0/tool:0/name tool-name',
    'choice:0/tool:0/arguments tool-arguments',
    'choice:0/tool:1/name tool-name',
    'choice:0/tool:1/arguments tool-arguments',
  ]);
});

test('usage per chunk, as vLLM sends it on request, is given each time', () => {
  const chunk = (output: number): object => ({
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: output, total_tokens: 7 + output },
  });
  const { events } = readStream('openai.chat', sse(chunk(1), chunk(2)));
  assert.deepEqual(
    events.map(({ usage }) => usage?.output),
    [1, 2],
  );
});

test('counts that are no counts are not believed', () => {
  for (const bad of [-1, 1.5, 1e12, '7', null, []]) {
    const event = format('openai.chat').readWhole(
      Buffer.from(JSON.stringify({ choices: [], usage: { prompt_tokens: bad, completion_tokens: bad } })),
    );
    assert.equal(event.usage, null);
  }
});

test('a big vocabulary in a description is one text, and goes whole where it is changed', () => {
  const tokens = Array.from({ length: 150_000 }, (_, i) => `tok${i}`);
  const event = format('ollama.show').readWhole(
    Buffer.from(JSON.stringify({ model_info: { 'tokenizer.ggml.tokens': tokens, 'general.architecture': 'llama' } })),
  );
  assert.deepEqual(
    event.texts.map(({ channel }) => channel),
    ['model_info.tokenizer.ggml.tokens', 'model_info.general.architecture'],
  );
  assert.deepEqual(JSON.parse(event.rewrite(new Map([[0, '']]), null).toString()), {
    model_info: { 'tokenizer.ggml.tokens': [], 'general.architecture': 'llama' },
  });
});
