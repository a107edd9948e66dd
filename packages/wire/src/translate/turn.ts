import { Fault, type Usage } from '@sallyport/core';
import { parseObject } from './exact.ts';

/**
 * One turn of the assistant in no dialect: what every reply reader gives and every reply writer takes, so that readers and writers
 * combine freely.
 */
export type TurnEvent =
  | { readonly kind: TextKind; readonly text: string }
  | { readonly kind: 'call'; readonly call: number; readonly id: string; readonly name: string }
  | { readonly kind: 'arguments'; readonly call: number; readonly text: string };

export type TextKind = 'text' | 'reasoning' | 'refusal';

export type Finish = 'stop' | 'length' | 'calls' | 'filter';

/** How a turn ended. */
export interface TurnEnd {
  readonly finish: Finish;
  /** The stop sequence that ended it, where the server tells. */
  readonly stopSequence: string | null;
  readonly usage: Usage | null;
  /** Tokens of the output that were reasoning, where the server tells. */
  readonly reasoningTokens: number;
  /** Nanoseconds, where the server measures them. */
  readonly durations: { readonly prompt: number; readonly output: number } | null;
}

/** A text or a tool call of a turn. Blocks follow one another; none is inside another. */
export interface Block {
  readonly kind: TextKind | 'call';
  /** Position among the blocks of the turn, from 0. */
  readonly position: number;
  /** Of a call: its position among the calls, its id (unique in the turn) and its tool; else 0 and empty. */
  readonly call: number;
  readonly id: string;
  readonly name: string;
  /** All of the text so far; of a call, its arguments as JSON. */
  readonly text: string;
}

export type BlockStep =
  | { readonly step: 'open'; readonly block: Block }
  | { readonly step: 'grow'; readonly block: Block; readonly text: string }
  /** `cut` where the limit on the output ended it. */
  | { readonly step: 'close'; readonly block: Block; readonly cut: boolean };

/** More than any reply has. Bounds what a hostile server can make us keep. */
const MAX_BLOCKS = 4096;
/** UTF-16 units of one turn. */
const MAX_LENGTH = 64 * 1024 * 1024;

interface GrowingBlock extends Block {
  text: string;
  /** What was added and not yet given out: all of a waiting block, half a character of an open one. */
  held: string;
}

/** What cannot be read in a server's reply. The reason is for the operator. */
export function unreadable(detail: string): Fault {
  return new Fault('upstream_error', 'The model server sent an answer that could not be read.', { detail });
}

/**
 * Puts the events of a turn in a row of blocks, each closed before the next is opened, as Anthropic's and OpenAI's Responses streams
 * are made. Chat completions send the arguments of several calls side by side. A call is known to be over when something else begins
 * and its arguments are a whole JSON object; where they are not, what begins waits until the turn ends.
 */
export class BlockRow {
  #open: GrowingBlock | null = null;
  #waiting: GrowingBlock[] = [];
  #openMayEnd = true;
  readonly #calls = new Map<number, GrowingBlock>();
  readonly #ids = new Set<string>();
  #blocks = 0;
  #length = 0;
  readonly #id: string;

  /** `id` makes up the ids of calls to which the server gave none of their own. */
  constructor(id: string) {
    this.#id = id;
  }

  push(event: TurnEvent, steps: BlockStep[]): void {
    if (event.kind === 'call') {
      this.#begin('call', event.call, this.#uniqueId(event.id), event.name, steps);
      return;
    }
    if (event.text === '') return;
    this.#length += event.text.length;
    if (this.#length > MAX_LENGTH) throw unreadable('turn too long');
    if (event.kind === 'arguments') {
      this.#grow(this.#calls.get(event.call), event.text, steps);
      return;
    }
    const last = this.#waiting.at(-1) ?? this.#open;
    if (last?.kind !== event.kind) this.#begin(event.kind, 0, '', '', steps);
    this.#grow(this.#waiting.at(-1) ?? this.#open, event.text, steps);
  }

  /** Closes what is open and gives out what had to wait. `cut` where the limit on the output ended the turn. */
  end(steps: BlockStep[], cut: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#closeOpen(steps, cut && waiting.length === 0);
    for (const [index, block] of waiting.entries()) {
      this.#open = block;
      steps.push({ step: 'open', block });
      this.#closeOpen(steps, cut && index === waiting.length - 1);
    }
  }

  #begin(kind: Block['kind'], call: number, id: string, name: string, steps: BlockStep[]): void {
    if (this.#blocks >= MAX_BLOCKS) throw unreadable('turn of too many parts');
    const block: GrowingBlock = {
      kind,
      position: this.#blocks,
      call: kind === 'call' ? this.#calls.size : 0,
      id,
      name,
      text: '',
      held: '',
    };
    this.#blocks += 1;
    if (kind === 'call') this.#calls.set(call, block);
    if (this.#open !== null && !this.#isOver(this.#open)) {
      this.#waiting.push(block);
      return;
    }
    this.#closeOpen(steps, false);
    this.#open = block;
    this.#openMayEnd = true;
    steps.push({ step: 'open', block });
  }

  #grow(block: GrowingBlock | null | undefined, text: string, steps: BlockStep[]): void {
    if (block === undefined || block === null) throw unreadable('arguments of no call');
    if (block !== this.#open && !this.#waiting.includes(block)) {
      if (text.trim() === '') return;
      throw unreadable('arguments after their end');
    }
    block.text += text;
    block.held += text;
    if (block === this.#open) give(block, steps, HIGH_SURROGATE.test(text.slice(-1)));
  }

  /** Asked once for each block: asking a hostile server's endless call again and again would cost quadratic time. */
  #isOver(block: Block): boolean {
    if (block.kind !== 'call') return true;
    if (!this.#openMayEnd) return false;
    this.#openMayEnd = block.text.trim() !== '' && parseObject(block.text) !== null;
    return this.#openMayEnd;
  }

  #closeOpen(steps: BlockStep[], cut: boolean): void {
    const block = this.#open;
    this.#open = null;
    if (block === null) return;
    // Servers write a call without arguments as nothing at all; clients parse what they get.
    if (block.kind === 'call' && block.text === '' && !cut) {
      block.text = '{}';
      block.held = '{}';
    }
    give(block, steps, false);
    steps.push({ step: 'close', block, cut });
  }

  /** Some servers give all calls one id, or none; a client has to tell them apart. */
  #uniqueId(id: string): string {
    const unique = id === '' || this.#ids.has(id) ? `call_${this.#id}_${this.#calls.size}` : id;
    this.#ids.add(unique);
    return unique;
  }
}

const HIGH_SURROGATE = /[\ud800-\udbff]/;

/** Some servers split a character over two events. Half of one is no text, so it waits for the other half. */
function give(block: GrowingBlock, steps: BlockStep[], endsInHalf: boolean): void {
  const text = endsInHalf ? block.held.slice(0, -1) : block.held;
  block.held = endsInHalf ? block.held.slice(-1) : '';
  if (text !== '') steps.push({ step: 'grow', block, text });
}

/**
 * The arguments of a call as an object, for dialects that have them so. Null where the turn was cut off within them: such a call is
 * left out. Throws `Fault('upstream_error')` for what is no JSON object otherwise.
 */
export function argumentsOf(block: Block, finish: Finish): ReturnType<typeof parseObject> {
  const value = parseObject(block.text);
  if (value === null && finish !== 'length') throw unreadable('arguments of a call are no JSON object');
  return value;
}
