import type { TurnWriter } from './reply.ts';
import type { ReplyContext } from './translation.ts';
import { argumentsOf, type Block, type BlockStep, type Finish, type TurnEnd } from './turn.ts';

/** Ollama has no reason of its own for calls; a filter's is OpenAI's word. */
const DONE: Readonly<Record<Finish, string>> = { stop: 'stop', length: 'length', calls: 'stop', filter: 'content_filter' };

/** Where a dialect of Ollama's puts what was generated. */
interface Place {
  text(text: string): object;
  reasoning(text: string): object;
  calls(calls: readonly object[]): object;
  whole(text: string, reasoning: string, calls: readonly object[]): object;
}

const CHAT: Place = {
  text: (content) => ({ message: { role: 'assistant', content } }),
  reasoning: (thinking) => ({ message: { role: 'assistant', content: '', thinking } }),
  calls: (tool_calls) => ({ message: { role: 'assistant', content: '', tool_calls } }),
  whole: (content, thinking, tool_calls) => ({
    message: {
      role: 'assistant',
      content,
      ...(thinking === '' ? {} : { thinking }),
      ...(tool_calls.length === 0 ? {} : { tool_calls }),
    },
  }),
};

const GENERATE: Place = {
  text: (response) => ({ response }),
  reasoning: (thinking) => ({ response: '', thinking }),
  calls: (tool_calls) => ({ response: '', tool_calls }),
  whole: (response, thinking, tool_calls) => ({
    response,
    ...(thinking === '' ? {} : { thinking }),
    ...(tool_calls.length === 0 ? {} : { tool_calls }),
  }),
};

/** Replies of Ollama's chat and generate: lines of JSON, the last with the counts. A call comes whole, once its arguments are. */
export class OllamaWriter implements TurnWriter {
  readonly #context: ReplyContext;
  readonly #place: Place;

  constructor(context: ReplyContext, kind: 'chat' | 'generate') {
    this.#context = context;
    this.#place = kind === 'chat' ? CHAT : GENERATE;
  }

  start(): string[] {
    return [];
  }

  step(step: BlockStep): string[] {
    const { block } = step;
    if (block.kind === 'call' || step.step !== 'grow') return [];
    return [this.#line(block.kind === 'reasoning' ? this.#place.reasoning(step.text) : this.#place.text(step.text))];
  }

  /** Only at the end it is known whether a call was cut off, so all of them come with the last lines, as from Ollama's own parsers. */
  end(end: TurnEnd, blocks: readonly Block[]): string[] {
    const calls = callsOf(blocks, end.finish);
    const lines = calls.length === 0 ? [] : [this.#line(this.#place.calls(calls))];
    return [...lines, `${JSON.stringify({ ...this.#head(), ...this.#place.text(''), ...ending(end) })}\n`];
  }

  whole(end: TurnEnd, blocks: readonly Block[]): object {
    const joined = (isWanted: (block: Block) => boolean): string => blocks.filter(isWanted).reduce((text, block) => text + block.text, '');
    const reasoning = joined((block) => block.kind === 'reasoning');
    const text = joined((block) => block.kind === 'text' || block.kind === 'refusal');
    return { ...this.#head(), ...this.#place.whole(text, reasoning, callsOf(blocks, end.finish)), ...ending(end) };
  }

  #line(part: object): string {
    return `${JSON.stringify({ ...this.#head(), ...part, done: false })}\n`;
  }

  #head(): object {
    return { model: this.#context.model, created_at: new Date(this.#context.created).toISOString() };
  }
}

function callsOf(blocks: readonly Block[], finish: Finish): object[] {
  return blocks.flatMap((block) => {
    const args = block.kind === 'call' ? argumentsOf(block, finish) : null;
    return args === null ? [] : [{ id: block.id, function: { index: block.call, name: block.name, arguments: args } }];
  });
}

/** Durations are the server's, where it measures them, and 0 where it does not. */
function ending({ finish, usage, durations }: TurnEnd): object {
  return {
    done: true,
    done_reason: DONE[finish],
    total_duration: durations === null ? 0 : durations.prompt + durations.output,
    load_duration: 0,
    prompt_eval_count: usage?.input ?? 0,
    prompt_eval_duration: durations?.prompt ?? 0,
    eval_count: usage?.output ?? 0,
    eval_duration: durations?.output ?? 0,
  };
}
