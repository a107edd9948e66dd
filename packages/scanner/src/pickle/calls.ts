import { Broken } from './broken.ts';
import type { Listener } from './listener.ts';
import { readLiteral } from './literal.ts';
import { OP } from './opcode.ts';
import type { Stack } from './stack.ts';
import type { Tape } from './tape.ts';
import { Call, type CallKind, Container, Global, OPAQUE, type Value } from './value.ts';

/** Picklers recurse, and end far below this. */
export const DEPTH = 10_000;

/** The instructions that import and call: everything by which a pickle does more than hold values. */
export class Calls {
  readonly #tape: Tape;
  readonly #stack: Stack;
  readonly #listener: Listener;

  constructor(tape: Tape, stack: Stack, listener: Listener) {
    this.#tape = tape;
    this.#stack = stack;
    this.#listener = listener;
  }

  /** Does the instruction at `position` and gives where the next one is. Throws `Broken` for a byte that is none. */
  step(op: number, position: number): number {
    const tape = this.#tape;
    const stack = this.#stack;
    switch (op) {
      case OP.GLOBAL: {
        const end = tape.line(position + 1);
        const next = tape.line(end + 1) + 1;
        this.#import(tape.string(position + 1, end), tape.string(end + 1, next - 1), position);
        return next;
      }
      case OP.STACK_GLOBAL:
        this.#stackGlobal(position);
        return position + 1;
      case OP.INST: {
        const end = tape.line(position + 1);
        const next = tape.line(end + 1) + 1;
        const args = stack.collect(stack.unmark());
        this.#import(tape.string(position + 1, end), tape.string(end + 1, next - 1), position);
        this.#call('object', stack.pop(), args, position);
        return next;
      }
      case OP.OBJ: {
        const args = stack.collect(stack.unmark());
        if (args.count === 0) throw new Broken('OBJ without a class');
        const callee = args.items?.shift() ?? OPAQUE;
        args.count -= 1;
        this.#call('object', callee, args, position);
        return position + 1;
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const args = stack.pop();
        this.#call(op === OP.REDUCE ? 'reduce' : 'new', stack.pop(), args, position);
        return position + 1;
      }
      case OP.NEWOBJ_EX: {
        const named = stack.pop();
        const args = new Container();
        args.add(stack.pop());
        args.add(named);
        this.#call('new', stack.pop(), args, position);
        return position + 1;
      }
      case OP.PERSID: {
        const next = tape.line(position + 1) + 1;
        this.#call('persistent', OPAQUE, OPAQUE, position);
        return next;
      }
      case OP.BINPERSID:
        this.#call('persistent', OPAQUE, stack.pop(), position);
        return position + 1;
      case OP.EXT1:
      case OP.EXT2:
      case OP.EXT4: {
        const next = tape.within(position + (op === OP.EXT1 ? 2 : op === OP.EXT2 ? 3 : 5));
        this.#call('extension', OPAQUE, OPAQUE, position);
        return next;
      }
      default:
        throw new Broken(`0x${op.toString(16).padStart(2, '0')} is no instruction`);
    }
  }

  /** BUILD. Gives where the walk goes on: the loader may read bytes of its own first. */
  build(position: number): number {
    const state = this.#stack.pop();
    const target = this.#stack.top();
    if (typeof target === 'object' && target.kind === 'call') {
      target.state = state;
      target.states += 1;
      if (typeof state !== 'number') target.weight += state.weight;
    }
    this.#listener.built(target, state, position);
    const next = this.#listener.skip(target, position + 1);
    if (next > this.#tape.limit) throw new Broken('array data is cut off');
    return next;
  }

  #import(module: string, name: string, position: number): void {
    this.#push(new Global(module, name, false, position));
  }

  #push(global: Global): void {
    this.#stack.values.push(global);
    this.#listener.imported(global);
  }

  #stackGlobal(position: number): void {
    const name = this.#text(this.#stack.pop());
    const module = this.#text(this.#stack.pop());
    this.#push(new Global(module ?? '?', name ?? '?', module === null || name === null, position));
  }

  #text(value: Value): string | null {
    const literal = typeof value === 'number' ? readLiteral(this.#tape.source, value) : null;
    return literal?.type === 'text' ? literal.text : null;
  }

  #call(how: CallKind, callee: Value, args: Value, position: number): void {
    const call = new Call(how, callee, args, position);
    if (call.depth > DEPTH) throw new Broken(`objects nest deeper than ${DEPTH} levels`);
    this.#stack.values.push(call);
    this.#listener.called(call);
  }
}
