import type { EncodableReply } from './encode.ts';

type Event = { readonly type: string; readonly [member: string]: unknown };

/** The whole reply of OpenAI's responses API: one message with one text. */
export function encodeResponse(reply: EncodableReply): object {
  return response(reply, [item(reply, 'completed', [part(reply.text)])], true);
}

/** The typed events that build that reply, numbered in sequence. */
export function encodeResponseEvents(reply: EncodableReply, pieces: readonly string[]): Event[] {
  const item_id = itemId(reply);
  const at = { item_id, output_index: 0, content_index: 0 };
  const finished = item(reply, 'completed', [part(reply.text)]);
  const events: Event[] = [
    { type: 'response.created', response: response(reply, [], false) },
    { type: 'response.in_progress', response: response(reply, [], false) },
    { type: 'response.output_item.added', output_index: 0, item: item(reply, 'in_progress', []) },
    { type: 'response.content_part.added', ...at, part: part('') },
    ...pieces.map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text: reply.text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part: part(reply.text) },
    { type: 'response.output_item.done', output_index: 0, item: finished },
    { type: isComplete(reply) ? 'response.completed' : 'response.incomplete', response: response(reply, [finished], true) },
  ];
  return events.map((event, sequence_number) => ({ ...event, sequence_number }));
}

function isComplete(reply: EncodableReply): boolean {
  return (reply.finish ?? 'stop') === 'stop';
}

function itemId(reply: EncodableReply): string {
  return `msg_${reply.id}`;
}

function part(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function item(reply: EncodableReply, status: string, content: readonly object[]): object {
  return { id: itemId(reply), type: 'message', status, role: 'assistant', content };
}

function response(reply: EncodableReply, output: readonly object[], isFinal: boolean): object {
  const { input, output: generated, cached } = reply.usage;
  const reason = reply.finish === 'length' ? 'max_output_tokens' : 'content_filter';
  return {
    id: `resp_${reply.id}`,
    object: 'response',
    created_at: Math.floor(reply.created / 1000),
    status: isFinal ? (isComplete(reply) ? 'completed' : 'incomplete') : 'in_progress',
    background: false,
    error: null,
    incomplete_details: isFinal && !isComplete(reply) ? { reason } : null,
    instructions: null,
    max_output_tokens: null,
    metadata: {},
    model: reply.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    truncation: 'disabled',
    usage: isFinal
      ? {
          input_tokens: input,
          input_tokens_details: { cached_tokens: cached },
          output_tokens: generated,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: input + generated,
        }
      : null,
    user: null,
  };
}
