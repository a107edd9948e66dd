import type { JsonObject, JsonValue } from '../json/document.ts';
import type { TurnWriter } from './reply.ts';
import type { ReplyContext } from './translation.ts';
import type { Block, BlockStep, Finish, TextKind, TurnEnd } from './turn.ts';

const REASONS: Partial<Readonly<Record<Finish, string>>> = { length: 'max_output_tokens', filter: 'content_filter' };

/** How a text is written: the type of its content part, the member that holds it, and the events that carry it. */
interface PartStyle {
  part(text: string): object;
  readonly event: string;
  /** Members beside the text in its events. */
  readonly beside: object;
  readonly member: string;
}

const PARTS: Readonly<Record<TextKind, PartStyle>> = {
  text: {
    part: (text) => ({ type: 'output_text', text, annotations: [], logprobs: [] }),
    event: 'response.output_text',
    beside: { logprobs: [] },
    member: 'text',
  },
  refusal: { part: (refusal) => ({ type: 'refusal', refusal }), event: 'response.refusal', beside: {}, member: 'refusal' },
  reasoning: {
    part: (text) => ({ type: 'reasoning_text', text }),
    event: 'response.reasoning_text',
    beside: {},
    member: 'text',
  },
};

type Event = { readonly type: string; readonly [member: string]: unknown };

/** Replies of OpenAI's Responses API: each block of the turn is an output item with at most one content part. */
export class ResponsesWriter implements TurnWriter {
  readonly #context: ReplyContext;
  #sequence = 0;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  start(): string[] {
    const response = this.#response('in_progress', [], null);
    return this.#frames([
      { type: 'response.created', response },
      { type: 'response.in_progress', response },
    ]);
  }

  step(step: BlockStep): string[] {
    const { block } = step;
    return this.#frames(block.kind === 'call' ? this.#callEvents(step) : this.#textEvents(step, block.kind));
  }

  end(end: TurnEnd, blocks: readonly Block[]): string[] {
    const status = statusOf(end);
    const response = this.#response(status, this.#output(end, blocks), end);
    return this.#frames([{ type: `response.${status}`, response }]);
  }

  whole(end: TurnEnd, blocks: readonly Block[]): object {
    return this.#response(statusOf(end), this.#output(end, blocks), end);
  }

  #callEvents(step: BlockStep): Event[] {
    const { block } = step;
    const at = { item_id: this.#itemId(block), output_index: block.position };
    const place = { output_index: block.position };
    switch (step.step) {
      case 'open':
        return [{ type: 'response.output_item.added', ...place, item: this.#item(block, 'in_progress', '') }];
      case 'grow':
        return [{ type: 'response.function_call_arguments.delta', ...at, delta: step.text }];
      case 'close':
        return [
          { type: 'response.function_call_arguments.done', ...at, name: block.name, arguments: block.text },
          { type: 'response.output_item.done', ...place, item: this.#item(block, step.cut ? 'incomplete' : 'completed', block.text) },
        ];
    }
  }

  #textEvents(step: BlockStep, kind: TextKind): Event[] {
    const { block } = step;
    const { part, event, beside, member } = PARTS[kind];
    const place = { output_index: block.position };
    const at = { item_id: this.#itemId(block), ...place, content_index: 0 };
    switch (step.step) {
      case 'open':
        return [
          { type: 'response.output_item.added', ...place, item: this.#item(block, 'in_progress', null) },
          { type: 'response.content_part.added', ...at, part: part('') },
        ];
      case 'grow':
        return [{ type: `${event}.delta`, ...at, delta: step.text, ...beside }];
      case 'close':
        return [
          { type: `${event}.done`, ...at, [member]: block.text, ...beside },
          { type: 'response.content_part.done', ...at, part: part(block.text) },
          { type: 'response.output_item.done', ...place, item: this.#item(block, step.cut ? 'incomplete' : 'completed', block.text) },
        ];
    }
  }

  #frames(events: readonly Event[]): string[] {
    return events.map((event) => {
      const numbered = { ...event, sequence_number: this.#sequence };
      this.#sequence += 1;
      return `event: ${event.type}\ndata: ${JSON.stringify(numbered)}\n\n`;
    });
  }

  #output({ finish }: TurnEnd, blocks: readonly Block[]): object[] {
    // What the limit cut off is the last item.
    return blocks.map((block, index) =>
      this.#item(block, finish === 'length' && index === blocks.length - 1 ? 'incomplete' : 'completed', block.text),
    );
  }

  /** `text` is null for an item that has no content part yet. */
  #item(block: Block, status: string, text: string | null): object {
    const id = this.#itemId(block);
    if (block.kind === 'call') return { id, type: 'function_call', status, call_id: block.id, name: block.name, arguments: text ?? '' };
    const content = text === null ? [] : [PARTS[block.kind].part(text)];
    if (block.kind === 'reasoning') return { id, type: 'reasoning', status, summary: [], content };
    return { id, type: 'message', status, role: 'assistant', content };
  }

  #itemId({ kind, position }: Block): string {
    const prefix = kind === 'call' ? 'fc' : kind === 'reasoning' ? 'rs' : 'msg';
    return `${prefix}_${this.#context.id}${position}`;
  }

  /** Settings of the request that clients read from the answer are repeated; its texts are not. */
  #response(status: string, output: readonly object[], end: TurnEnd | null): object {
    const { id, model, created, request } = this.#context;
    const reason = end === null ? undefined : REASONS[end.finish];
    return {
      id: `resp_${id}`,
      object: 'response',
      created_at: Math.floor(created / 1000),
      status,
      background: false,
      error: null,
      incomplete_details: reason === undefined ? null : { reason },
      instructions: null,
      max_output_tokens: setting(request, 'max_output_tokens', 'number'),
      metadata: {},
      model,
      output,
      parallel_tool_calls: setting(request, 'parallel_tool_calls', 'boolean') ?? true,
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      store: false,
      temperature: setting(request, 'temperature', 'number'),
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_p: setting(request, 'top_p', 'number'),
      truncation: 'disabled',
      usage: end === null ? null : usageOf(end),
      user: null,
    };
  }
}

function setting(request: JsonObject, name: string, type: 'number' | 'boolean'): JsonValue {
  const value = request[name] ?? null;
  return typeof value === type ? value : null;
}

function statusOf({ finish }: TurnEnd): 'completed' | 'incomplete' {
  return REASONS[finish] === undefined ? 'completed' : 'incomplete';
}

/** Null where the server did not count. */
function usageOf({ usage, reasoningTokens }: TurnEnd): object | null {
  if (usage === null) return null;
  return {
    input_tokens: usage.input,
    input_tokens_details: { cached_tokens: usage.cached },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: usage.input + usage.output,
  };
}
