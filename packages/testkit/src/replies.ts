/** Well-formed replies in every dialect for a `ScriptedUpstream`: whole ones as values, streams as one buffer an event. */

const CREATED = 1_767_225_600;

/** How events end their lines; both are allowed in an event stream (HTML Standard section 9.2.6). */
export type LineEnd = '\n' | '\r\n' | '\r';

export function chatReply(text: string, model: string = 'target'): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
  };
}

/** OpenAI chat chunks: the role, one delta a text, the finish, usage, `[DONE]`. */
export function chatStream(texts: readonly string[], model: string = 'target', lineEnd: LineEnd = '\n'): Buffer[] {
  const base = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: CREATED, model };
  const chunk = (delta: object, finish_reason: string | null): object => ({ ...base, choices: [{ index: 0, delta, finish_reason }] });
  return [
    chunk({ role: 'assistant', content: '' }, null),
    ...texts.map((content) => chunk({ content }, null)),
    chunk({}, 'stop'),
    { ...base, choices: [], usage: { prompt_tokens: 5, completion_tokens: texts.length, total_tokens: 5 + texts.length } },
    '[DONE]',
  ].map((data) => event(null, data, lineEnd));
}

export function messagesReply(text: string, model: string = 'target'): object {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 5, output_tokens: 2 },
  };
}

/** Anthropic message events. */
export function messagesStream(texts: readonly string[], model: string = 'target', lineEnd: LineEnd = '\n'): Buffer[] {
  const events: { type: string; [field: string]: unknown }[] = [
    {
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 5, output_tokens: 1 },
      },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...texts.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: texts.length } },
    { type: 'message_stop' },
  ];
  return events.map((data) => event(data.type, data, lineEnd));
}

/** Ollama lines: `chat` puts the text under `message.content`, `generate` under `response`. */
export function ollamaStream(kind: 'chat' | 'generate', texts: readonly string[], model: string = 'target'): Buffer[] {
  const created_at = new Date(CREATED * 1000).toISOString();
  const line = (text: string, rest: object): Buffer =>
    Buffer.from(
      `${JSON.stringify({ model, created_at, ...(kind === 'chat' ? { message: { role: 'assistant', content: text } } : { response: text }), ...rest })}\n`,
    );
  return [
    ...texts.map((text) => line(text, { done: false })),
    line('', { done: true, done_reason: 'stop', prompt_eval_count: 5, eval_count: texts.length }),
  ];
}

export function ollamaReply(kind: 'chat' | 'generate', text: string, model: string = 'target'): object {
  return {
    model,
    created_at: new Date(CREATED * 1000).toISOString(),
    ...(kind === 'chat' ? { message: { role: 'assistant', content: text } } : { response: text }),
    done: true,
    done_reason: 'stop',
    prompt_eval_count: 5,
    eval_count: 2,
  };
}

function event(name: string | null, data: unknown, lineEnd: LineEnd): Buffer {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return Buffer.from(`${name === null ? '' : `event: ${name}${lineEnd}`}data: ${text}${lineEnd}${lineEnd}`);
}
