import type { Usage } from '@sallyport/core';
import { isObject } from '../request/check.ts';
import type { TurnWriter } from './reply.ts';
import type { ReplyContext } from './translation.ts';
import type { Block, BlockStep, Finish, TurnEnd } from './turn.ts';

const FINISH: Readonly<Record<Finish, string>> = { stop: 'stop', length: 'length', calls: 'tool_calls', filter: 'content_filter' };

/** Replies of chat completions. Reasoning is in `reasoning_content`, where most servers put it and most clients look for it. */
export class ChatWriter implements TurnWriter {
  readonly #context: ReplyContext;
  readonly #includesUsage: boolean;

  constructor(context: ReplyContext) {
    this.#context = context;
    const options = context.request['stream_options'];
    this.#includesUsage = isObject(options) && options['include_usage'] === true;
  }

  start(): string[] {
    return [this.#chunk({ role: 'assistant', content: '' }, null)];
  }

  step(step: BlockStep): string[] {
    const { block } = step;
    if (block.kind === 'call') return this.#callStep(step);
    return step.step === 'grow' ? [this.#chunk({ [memberOf(block)]: step.text }, null)] : [];
  }

  end(end: TurnEnd): string[] {
    const frames = [this.#chunk({}, FINISH[end.finish])];
    if (this.#includesUsage && end.usage !== null) {
      frames.push(frame({ ...this.#envelope('chat.completion.chunk'), choices: [], usage: usageOf(end.usage) }));
    }
    return [...frames, 'data: [DONE]\n\n'];
  }

  whole(end: TurnEnd, blocks: readonly Block[]): object {
    const joined = (kind: Block['kind']): string => blocks.reduce((text, block) => (block.kind === kind ? text + block.text : text), '');
    const calls = blocks.filter(({ kind }) => kind === 'call');
    const content = joined('text');
    const reasoning = joined('reasoning');
    const message = {
      role: 'assistant',
      content: content === '' && calls.length > 0 ? null : content,
      refusal: joined('refusal') || null,
      ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(({ id, name, text }) => callOf(id, name, text)) }),
    };
    return {
      ...this.#envelope('chat.completion'),
      choices: [{ index: 0, message, logprobs: null, finish_reason: FINISH[end.finish] }],
      ...(end.usage === null ? {} : { usage: usageOf(end.usage) }),
    };
  }

  #callStep(step: BlockStep): string[] {
    const { call: index, id, name } = step.block;
    if (step.step === 'open') return [this.#chunk({ tool_calls: [{ index, ...callOf(id, name, '') }] }, null)];
    return step.step === 'grow' ? [this.#chunk({ tool_calls: [{ index, function: { arguments: step.text } }] }, null)] : [];
  }

  #chunk(delta: object, finish_reason: string | null): string {
    const usage = this.#includesUsage ? { usage: null } : {};
    return frame({ ...this.#envelope('chat.completion.chunk'), choices: [{ index: 0, delta, logprobs: null, finish_reason }], ...usage });
  }

  #envelope(object: string): object {
    const { id, created, model } = this.#context;
    return { id: `chatcmpl-${id}`, object, created: Math.floor(created / 1000), model };
  }
}

function frame(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function memberOf({ kind }: Block): string {
  return kind === 'reasoning' ? 'reasoning_content' : kind === 'refusal' ? 'refusal' : 'content';
}

function callOf(id: string, name: string, args: string): object {
  return { id, type: 'function', function: { name, arguments: args } };
}

function usageOf({ input, output, cached }: Usage): object {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
  };
}
