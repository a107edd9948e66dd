import type { ByteSource } from '../source.ts';
import { readLiteral } from './literal.ts';
import { OP } from './opcode.ts';
import { Call, type CallKind, Container, Global, OPAQUE, type Value } from './value.ts';

/** How a walk ended: with STOP, or broken. `end` is the offset after the last instruction that was understood. */
export interface StreamEnd {
  readonly stopped: boolean;
  readonly end: number;
  readonly instructions: number;
  readonly reason: string;
}

/** What no pickler writes and a loader accepts. */
export type Anomaly = 'frame' | 'protocol' | 'memo' | 'expansion' | 'leftover' | 'truncated';

/** What a walk tells its listener, in the order a loader would do it. Offsets are those of the source. */
export interface Listener {
  imported(global: Global): void;
  called(call: Call): void;
  /** BUILD on a value: `target` is what gets the state. */
  built(target: Value, state: Value, offset: number): void;
  /** Items were put into the result of a call. */
  filled(target: Call, offset: number): void;
  /** A string or bytes literal that could itself hold a pickle. */
  literal(start: number, length: number): void;
  anomaly(kind: Anomaly, message: string, offset: number): void;
  /** After BUILD: bytes that the loader reads off the stream itself (joblib). Gives where the walk goes on. */
  skip(built: Value, offset: number): number;
  /** For every 256 KiB walked, with the number of values held. May throw. */
  tick(held: number): void;
}

const WINDOW = 2 ** 18;
/** Most walks of a search end within a few instructions. */
const FIRST_WINDOW = 4096;
const MARGIN = 32;
const SHORT_LINE = 64;
const MEMO_GAP = 1_000_000;
/** Nodes an object may unfold to before walking it is an attack; real models stay below a thousandth of it. */
const EXPANSION = 1e10;
const EXPANSION_RATIO = 1e6;
/** Picklers recurse, and end far below this. */
const DEPTH = 10_000;

const BEYOND = 'an argument reaches beyond the end';

/** Where the stream stops being pickle. No `Error`: a search ends in thousands of these, and each stack trace would cost more than the walk. */
class Broken {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/**
 * Walks a pickle without loading it: a stack, a mark list and a memo, as in CPython's `Unpickler`, over values that are only described.
 * Bytes and strings are skipped, so large arrays cost nothing. Every byte is an attacker's.
 */
export class Machine {
  readonly #source: ByteSource;
  readonly #limit: number;
  readonly #listener: Listener;
  readonly #stack: Value[] = [];
  readonly #marks: number[] = [];
  /** Height of the stack at the last mark: instructions do not reach below it. */
  #floor: number = 0;
  readonly #memo: Value[] = [];
  readonly #farMemo = new Map<number, Value>();
  /** Entries of the memo that cost memory: objects, and those under far indexes. */
  #kept: number = 0;
  #window: Buffer;
  #base: number;

  constructor(source: ByteSource, start: number, listener: Listener) {
    this.#source = source;
    this.#limit = source.size;
    this.#listener = listener;
    this.#base = start;
    this.#window = source.read(start, FIRST_WINDOW);
  }

  /** Walks from the start given to STOP or to the first thing that is not pickle. */
  run(): StreamEnd {
    const stack = this.#stack;
    const limit = this.#limit;
    let bytes = this.#window;
    let base = this.#base;
    let windowEnd = base + bytes.length;
    let position = base;
    let next = position;
    let instructions = 0;
    let frame = Number.POSITIVE_INFINITY;
    try {
      for (;;) {
        if (position + MARGIN > windowEnd && windowEnd < limit) {
          this.#listener.tick(Math.max(stack.length, this.#marks.length, this.#kept));
          bytes = this.#source.read(position, WINDOW);
          base = position;
          windowEnd = base + bytes.length;
          this.#window = bytes;
          this.#base = base;
        }
        const at = position - base;
        if (position >= windowEnd) throw new Broken('ends without STOP');
        const op = bytes[at] ?? 0;
        instructions += 1;
        next = position + 1;
        switch (op) {
          case OP.NONE:
          case OP.NEWTRUE:
          case OP.NEWFALSE:
            stack.push(position);
            break;
          case OP.BININT1:
            next = position + 2;
            if (next > limit) throw new Broken(BEYOND);
            stack.push(position);
            break;
          case OP.BININT2:
            next = position + 3;
            if (next > limit) throw new Broken(BEYOND);
            stack.push(position);
            break;
          case OP.BININT:
            next = position + 5;
            if (next > limit) throw new Broken(BEYOND);
            stack.push(position);
            break;
          case OP.BINFLOAT:
            next = position + 9;
            if (next > limit) throw new Broken(BEYOND);
            stack.push(position);
            break;
          case OP.LONG1:
            next = this.#counted(position, 2, bytes[at + 1] ?? 0);
            stack.push(position);
            break;
          case OP.SHORT_BINSTRING:
          case OP.SHORT_BINBYTES:
          case OP.SHORT_BINUNICODE:
            next = position + 2 + (bytes[at + 1] ?? 0);
            if (next > limit) throw new Broken(BEYOND);
            // Only what begins like a pickle is looked into.
            if ((bytes[at + 2] ?? 0) >= 0x80) this.#text(position, 2, bytes[at + 1] ?? 0);
            stack.push(position);
            break;
          case OP.BINSTRING:
          case OP.LONG4: {
            this.#within(position + 5);
            const length = bytes.readInt32LE(at + 1);
            if (length < 0) throw new Broken('negative length');
            next = op === OP.LONG4 ? this.#counted(position, 5, length) : this.#text(position, 5, length);
            stack.push(position);
            break;
          }
          case OP.BINBYTES:
          case OP.BINUNICODE:
            this.#within(position + 5);
            next = this.#text(position, 5, bytes.readUInt32LE(at + 1));
            stack.push(position);
            break;
          case OP.BINBYTES8:
          case OP.BINUNICODE8:
          case OP.BYTEARRAY8:
            this.#within(position + 9);
            next = this.#text(position, 9, Number(bytes.readBigUInt64LE(at + 1)));
            stack.push(position);
            break;
          case OP.STRING:
          case OP.UNICODE:
          case OP.INT:
          case OP.LONG:
          case OP.FLOAT:
            next = this.#line(position + 1) + 1;
            this.#checkLine(op, position);
            stack.push(position);
            break;
          case OP.MARK:
            this.#marks.push(stack.length);
            this.#floor = stack.length;
            break;
          case OP.EMPTY_TUPLE:
          case OP.EMPTY_LIST:
          case OP.EMPTY_DICT:
          case OP.EMPTY_SET:
            stack.push(new Container());
            break;
          case OP.TUPLE1:
            this.#gather(this.#height(1), position);
            break;
          case OP.TUPLE2:
            this.#gather(this.#height(2), position);
            break;
          case OP.TUPLE3:
            this.#gather(this.#height(3), position);
            break;
          case OP.TUPLE:
          case OP.LIST:
          case OP.DICT:
          case OP.FROZENSET:
            this.#gather(this.#mark(), position);
            break;
          case OP.APPEND:
            this.#addTo(this.#height(1), position);
            break;
          case OP.SETITEM:
            this.#addTo(this.#height(2), position);
            break;
          case OP.APPENDS:
          case OP.SETITEMS:
          case OP.ADDITEMS:
            this.#addTo(this.#mark(), position);
            break;
          case OP.POP:
            if (stack.length === this.#floor && this.#marks.length > 0) this.#mark();
            else this.#pop();
            break;
          case OP.POP_MARK:
            cut(stack, this.#mark());
            break;
          case OP.DUP:
            stack.push(this.#top());
            break;
          case OP.MEMOIZE:
            if (this.#farMemo.size === 0) {
              const kept = this.#top();
              if (typeof kept === 'object') this.#kept += 1;
              this.#memo.push(kept);
            } else this.#remember(this.#memo.length + this.#farMemo.size, this.#top(), instructions, position);
            break;
          case OP.BINPUT:
            next = this.#within(position + 2);
            this.#remember(bytes[at + 1] ?? 0, this.#top(), instructions, position);
            break;
          case OP.LONG_BINPUT:
            next = this.#within(position + 5);
            this.#remember(bytes.readUInt32LE(at + 1), this.#top(), instructions, position);
            break;
          case OP.PUT:
            next = this.#line(position + 1) + 1;
            this.#remember(this.#index(position, next), this.#top(), instructions, position);
            break;
          case OP.BINGET:
            next = this.#within(position + 2);
            stack.push(this.#recall(bytes[at + 1] ?? 0));
            break;
          case OP.LONG_BINGET:
            next = this.#within(position + 5);
            stack.push(this.#recall(bytes.readUInt32LE(at + 1)));
            break;
          case OP.GET:
            next = this.#line(position + 1) + 1;
            stack.push(this.#recall(this.#index(position, next)));
            break;
          case OP.GLOBAL: {
            const end = this.#line(position + 1);
            next = this.#line(end + 1) + 1;
            this.#import(this.#string(position + 1, end), this.#string(end + 1, next - 1), position);
            break;
          }
          case OP.STACK_GLOBAL:
            this.#stackGlobal(position);
            break;
          case OP.INST: {
            const end = this.#line(position + 1);
            next = this.#line(end + 1) + 1;
            const args = this.#collect(this.#mark());
            this.#import(this.#string(position + 1, end), this.#string(end + 1, next - 1), position);
            this.#call('object', this.#pop(), args, position);
            break;
          }
          case OP.OBJ: {
            const args = this.#collect(this.#mark());
            if (args.count === 0) throw new Broken('OBJ without a class');
            const callee = args.items?.shift() ?? OPAQUE;
            args.count -= 1;
            this.#call('object', callee, args, position);
            break;
          }
          case OP.REDUCE:
          case OP.NEWOBJ: {
            const args = this.#pop();
            this.#call(op === OP.REDUCE ? 'reduce' : 'new', this.#pop(), args, position);
            break;
          }
          case OP.NEWOBJ_EX: {
            const named = this.#pop();
            const args = new Container();
            args.add(this.#pop());
            args.add(named);
            this.#call('new', this.#pop(), args, position);
            break;
          }
          case OP.BUILD: {
            const state = this.#pop();
            const target = this.#top();
            if (typeof target === 'object' && target.kind === 'call') {
              target.state = state;
              if (typeof state !== 'number') target.weight += state.weight;
            }
            this.#listener.built(target, state, position);
            {
              const resumed = this.#listener.skip(target, next);
              // joblib writes arrays straight into the file, whatever frame is open.
              if (resumed !== next) frame = Number.POSITIVE_INFINITY;
              next = resumed;
            }
            if (next > this.#limit) throw new Broken('array data is cut off');
            break;
          }
          case OP.PERSID:
            next = this.#line(position + 1) + 1;
            this.#call('persistent', OPAQUE, OPAQUE, position);
            break;
          case OP.BINPERSID:
            this.#call('persistent', OPAQUE, this.#pop(), position);
            break;
          case OP.EXT1:
          case OP.EXT2:
          case OP.EXT4:
            next = this.#within(position + (op === OP.EXT1 ? 2 : op === OP.EXT2 ? 3 : 5));
            this.#call('extension', OPAQUE, OPAQUE, position);
            break;
          case OP.NEXT_BUFFER:
            stack.push(OPAQUE);
            break;
          case OP.READONLY_BUFFER:
            this.#top();
            break;
          case OP.PROTO: {
            next = this.#within(position + 2);
            const protocol = bytes[at + 1] ?? 0;
            if (instructions > 1) this.#listener.anomaly('protocol', 'a protocol marker in the middle of the stream', position);
            else if (protocol > 5) throw new Broken(`protocol ${protocol} does not exist`);
            break;
          }
          case OP.FRAME: {
            next = this.#within(position + 9);
            const end = next + Number(bytes.readBigUInt64LE(at + 1));
            if (end > this.#limit) this.#listener.anomaly('truncated', 'a frame reaches beyond the end', position);
            if (next <= frame && frame !== Number.POSITIVE_INFINITY && next < frame)
              this.#listener.anomaly('frame', 'a frame begins inside another', position);
            frame = end;
            break;
          }
          case OP.STOP:
            this.#pop();
            if (stack.length > 0) this.#listener.anomaly('leftover', `${stack.length} values are left on the stack`, position);
            return { stopped: true, end: next, instructions, reason: '' };
          default:
            throw new Broken(`0x${op.toString(16).padStart(2, '0')} is no instruction`);
        }
        if (next > frame) {
          if (position < frame) this.#listener.anomaly('frame', 'an instruction crosses the end of its frame', frame);
          frame = Number.POSITIVE_INFINITY;
        }
        position = next;
      }
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return { stopped: false, end: position, instructions, reason: error.message };
    }
  }

  #within(end: number): number {
    if (end > this.#limit) throw new Broken(BEYOND);
    return end;
  }

  #counted(position: number, head: number, length: number): number {
    return this.#within(position + head + length);
  }

  #text(position: number, head: number, length: number): number {
    const end = this.#within(position + head + length);
    if (length >= 4) {
      const at = position + head - this.#base;
      const first = this.#window[at] ?? 0;
      // A pickle begins with 0x80 and its protocol; in UTF-8 text of Latin-1 bytes that is 0xc2 0x80.
      if ((first === 0x80 && (this.#window[at + 1] ?? 9) <= 5) || (first === 0xc2 && this.#window[at + 1] === 0x80))
        this.#listener.literal(position + head, length);
    }
    return end;
  }

  /** Offset of the line feed that ends the line starting at `start`. */
  #line(start: number): number {
    const bytes = this.#window;
    const from = start - this.#base;
    const short = Math.min(from + SHORT_LINE, bytes.length);
    for (let at = from; at < short; at += 1) if (bytes[at] === 10) return this.#base + at;
    const near = bytes.indexOf(10, short);
    if (near >= 0) return this.#base + near;
    for (let offset = Math.max(start, this.#base + this.#window.length); offset < this.#limit; offset += WINDOW) {
      const found = this.#source.read(offset, WINDOW).indexOf(10);
      if (found >= 0) return offset + found;
    }
    throw new Broken('a line has no end');
  }

  #string(start: number, end: number): string {
    const length = Math.min(end - start, 4096);
    const at = start - this.#base;
    return at + length <= this.#window.length
      ? this.#window.toString('utf8', at, at + length)
      : this.#source.read(start, length).toString('utf8');
  }

  /** A number must look like one and a string must be quoted, as far as its first byte tells. */
  #checkLine(op: number, position: number): void {
    const first = this.#window[position + 1 - this.#base] ?? 0;
    const digit = first >= 0x30 && first <= 0x39;
    // A sign, a point, a space, or the first letter of inf and nan.
    const number = digit || first === 0x2d || first === 0x2b || first === 0x2e || first === 0x20 || first === 0x69 || first === 0x6e;
    const quoted = first === 0x27 || first === 0x22 || first === 0x20;
    if (op === OP.STRING ? !quoted : op !== OP.UNICODE && !number) throw new Broken('an invalid literal');
  }

  #index(position: number, next: number): number {
    const text = this.#string(position + 1, next - 1);
    if (!/^\d{1,10}\r?$/.test(text)) throw new Broken('an invalid memo index');
    return Number.parseInt(text, 10);
  }

  #top(): Value {
    const value = this.#stack.length > this.#floor ? this.#stack[this.#stack.length - 1] : undefined;
    if (value === undefined) throw new Broken('the stack is empty');
    return value;
  }

  #pop(): Value {
    const value = this.#stack.length > this.#floor ? this.#stack.pop() : undefined;
    if (value === undefined) throw new Broken('the stack is empty');
    return value;
  }

  #mark(): number {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new Broken('no mark');
    this.#floor = this.#marks[this.#marks.length - 1] ?? 0;
    return mark;
  }

  #height(count: number): number {
    const height = this.#stack.length - count;
    if (height < this.#floor) throw new Broken('the stack is empty');
    return height;
  }

  /** Takes everything above `height` off the stack into a new container. */
  #collect(height: number): Container {
    const container = new Container();
    const stack = this.#stack;
    container.absorb(stack, height);
    cut(stack, height);
    return container;
  }

  #gather(height: number, position: number): void {
    const container = this.#collect(height);
    this.#checkShape(container, position);
    this.#stack.push(container);
  }

  #addTo(height: number, position: number): void {
    const target = height > this.#floor ? this.#stack[height - 1] : undefined;
    if (target === undefined) throw new Broken('nothing to add to');
    if (typeof target === 'object' && target.kind === 'container') {
      const stack = this.#stack;
      target.absorb(stack, height);
      this.#checkShape(target, position);
    } else if (typeof target === 'object' && target.kind === 'call') this.#listener.filled(target, position);
    cut(this.#stack, height);
  }

  #checkShape({ weight, depth }: Value & object, position: number): void {
    if (depth > DEPTH) throw new Broken(`objects nest deeper than ${DEPTH} levels`);
    if (weight > EXPANSION && weight > EXPANSION_RATIO * this.#limit)
      this.#listener.anomaly('expansion', 'shared parts unfold to more than 10 billion objects', position);
  }

  #remember(index: number, value: Value, instructions: number, position: number): void {
    if (typeof value === 'object' || index > this.#memo.length) this.#kept += 1;
    if (index <= this.#memo.length) this.#memo[index] = value;
    else {
      this.#farMemo.set(index, value);
      if (index > instructions + MEMO_GAP)
        this.#listener.anomaly('memo', `memo index ${index} after ${instructions} instructions`, position);
    }
  }

  #recall(index: number): Value {
    const value = index < this.#memo.length ? this.#memo[index] : this.#farMemo.get(index);
    if (value === undefined) throw new Broken('an unknown memo index');
    return value;
  }

  #import(module: string, name: string, position: number): void {
    this.#push(new Global(module, name, false, position));
  }

  #push(global: Global): void {
    this.#stack.push(global);
    this.#listener.imported(global);
  }

  #stackGlobal(position: number): void {
    const name = this.#pop();
    const module = this.#pop();
    const texts = [module, name].map((value) => {
      const literal = typeof value === 'number' ? readLiteral(this.#source, value) : null;
      return literal?.type === 'text' ? literal.text : null;
    });
    this.#push(new Global(texts[0] ?? '?', texts[1] ?? '?', texts.includes(null), position));
  }

  #call(how: CallKind, callee: Value, args: Value, position: number): void {
    const call = new Call(how, callee, args, position);
    if (call.depth > DEPTH) throw new Broken(`objects nest deeper than ${DEPTH} levels`);
    this.#stack.push(call);
    this.#listener.called(call);
  }
}

/** Shortens the stack. Setting its length lets the engine give memory back and take it again for every small tuple. */
function cut(stack: Value[], height: number): void {
  if (stack.length - height > 16) stack.length = height;
  else while (stack.length > height) stack.pop();
}
