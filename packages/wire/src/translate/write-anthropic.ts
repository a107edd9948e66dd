import type { Usage } from '@sallyport/core';
import type { TurnWriter } from './reply.ts';
import type { ReplyContext } from './translation.ts';
import { argumentsOf, type Block, type BlockStep, type Finish, type TurnEnd } from './turn.ts';

const STOP: Readonly<Record<Finish, string>> = { stop: 'end_turn', length: 'max_tokens', calls: 'tool_use', filter: 'refusal' };

/** Replies of Anthropic's Messages API (docs.anthropic.com/en/api/messages-streaming). */
export class AnthropicWriter implements TurnWriter {
  readonly #context: ReplyContext;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  /** The server states its usage at the end, so the start has to say 0; the totals are in `message_delta`. */
  start(): string[] {
    return [frame({ type: 'message_start', message: this.#message([], null, null, null) })];
  }

  step(step: BlockStep): string[] {
    const index = step.block.position;
    switch (step.step) {
      case 'open':
        return [frame({ type: 'content_block_start', index, content_block: openBlock(step.block) })];
      case 'grow':
        return [frame({ type: 'content_block_delta', index, delta: delta(step.block, step.text) })];
      case 'close':
        return [frame({ type: 'content_block_stop', index })];
    }
  }

  end(end: TurnEnd, blocks: readonly Block[]): string[] {
    const stop_reason = stopReason(end, blocks);
    return [
      frame({ type: 'message_delta', delta: { stop_reason, stop_sequence: stopSequence(end) }, usage: usageOf(end.usage) }),
      frame({ type: 'message_stop' }),
    ];
  }

  whole(end: TurnEnd, blocks: readonly Block[]): object {
    const content = blocks.flatMap((block) => wholeBlock(block, end.finish));
    return this.#message(content, stopReason(end, blocks), stopSequence(end), end.usage);
  }

  #message(content: readonly object[], stop_reason: string | null, stop_sequence: string | null, usage: Usage | null): object {
    const { id, model } = this.#context;
    return {
      id: `msg_${id}`,
      type: 'message',
      role: 'assistant',
      model,
      content,
      stop_reason,
      stop_sequence,
      usage: usageOf(usage),
    };
  }
}

function frame(data: { readonly type: string; readonly [member: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function stopReason({ finish, stopSequence }: TurnEnd, blocks: readonly Block[]): string {
  if (finish === 'stop' && blocks.some((block) => block.kind === 'refusal')) return 'refusal';
  return finish === 'stop' && stopSequence !== null ? 'stop_sequence' : STOP[finish];
}

function stopSequence({ finish, stopSequence }: TurnEnd): string | null {
  return finish === 'stop' ? stopSequence : null;
}

/** Other servers do not sign their reasoning; an empty signature says so, and the block may come back with it. */
function openBlock({ kind, id, name }: Block): object {
  if (kind === 'call') return { type: 'tool_use', id, name, input: {} };
  return kind === 'reasoning' ? { type: 'thinking', thinking: '', signature: '' } : { type: 'text', text: '' };
}

function delta({ kind }: Block, text: string): object {
  if (kind === 'call') return { type: 'input_json_delta', partial_json: text };
  return kind === 'reasoning' ? { type: 'thinking_delta', thinking: text } : { type: 'text_delta', text };
}

function wholeBlock(block: Block, finish: Finish): object[] {
  const { kind, id, name, text } = block;
  if (kind === 'reasoning') return [{ type: 'thinking', thinking: text, signature: '' }];
  if (kind !== 'call') return [{ type: 'text', text }];
  const input = argumentsOf(block, finish);
  return input === null ? [] : [{ type: 'tool_use', id, name, input }];
}

/** Anthropic counts input that came from the cache apart. */
function usageOf(usage: Usage | null): object {
  return {
    input_tokens: usage === null ? 0 : Math.max(0, usage.input - usage.cached),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage?.cached ?? 0,
    output_tokens: usage?.output ?? 0,
  };
}
