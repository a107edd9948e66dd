import type { ByteSource } from '../source.ts';
import { BEYOND, Broken } from './broken.ts';
import { Calls, DEPTH } from './calls.ts';
import type { Listener, StreamEnd } from './listener.ts';
import { Memo } from './memo.ts';
import { OP } from './opcode.ts';
import { Stack } from './stack.ts';
import { Tape } from './tape.ts';
import { Container, EMPTY_TUPLE, OPAQUE, type Value } from './value.ts';

/** The longest instruction but for what it counts itself. */
const MARGIN = 32;
/** Half of how deep Python's own pickler goes by itself. */
const DEEP = 500;
const MEMO_GAP = 1_000_000;
/** Nodes an object may unfold to before walking it is an attack; real models stay below a thousandth of it. */
const EXPANSION = 1e10;
const EXPANSION_RATIO = 1e6;

/**
 * Walks a pickle without loading it: a stack, a mark list and a memo, as in CPython's `Unpickler`, over values that are only described.
 * Bytes and strings are skipped, so large arrays cost nothing. Every byte is an attacker's.
 */
export class Machine {
  readonly #tape: Tape;
  readonly #stack = new Stack();
  readonly #memo = new Memo();
  readonly #calls: Calls;
  readonly #listener: Listener;
  /** Instructions that no pickler has a million of. */
  #discarded: number = 0;

  constructor(source: ByteSource, start: number, listener: Listener) {
    this.#tape = new Tape(source, start);
    this.#calls = new Calls(this.#tape, this.#stack, listener);
    this.#listener = listener;
  }

  /** Walks from the start given to STOP or to the first thing that is not pickle. */
  run(): StreamEnd {
    const tape = this.#tape;
    const stack = this.#stack.values;
    const { limit } = tape;
    let bytes = tape.window;
    let base = tape.base;
    let windowEnd = base + bytes.length;
    let position = base;
    let next = position;
    let instructions = 0;
    let frame = Number.POSITIVE_INFINITY;
    try {
      for (;;) {
        if (position + MARGIN > windowEnd && windowEnd < limit) {
          this.#listener.tick(Math.max(this.#stack.held, this.#memo.kept), this.#discarded);
          bytes = tape.move(position);
          base = position;
          windowEnd = base + bytes.length;
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
            tape.within(position + 5);
            const length = bytes.readInt32LE(at + 1);
            if (length < 0) throw new Broken('negative length');
            next = op === OP.LONG4 ? this.#counted(position, 5, length) : this.#text(position, 5, length);
            stack.push(position);
            break;
          }
          case OP.BINBYTES:
          case OP.BINUNICODE:
            tape.within(position + 5);
            next = this.#text(position, 5, bytes.readUInt32LE(at + 1));
            stack.push(position);
            break;
          case OP.BINBYTES8:
          case OP.BINUNICODE8:
          case OP.BYTEARRAY8:
            tape.within(position + 9);
            next = this.#text(position, 9, Number(bytes.readBigUInt64LE(at + 1)));
            stack.push(position);
            break;
          case OP.STRING:
          case OP.UNICODE:
          case OP.INT:
          case OP.LONG:
          case OP.FLOAT:
            next = tape.line(position + 1) + 1;
            tape.checkLine(op, position);
            stack.push(position);
            break;
          case OP.MARK:
            this.#stack.mark();
            break;
          case OP.EMPTY_TUPLE:
            stack.push(EMPTY_TUPLE);
            break;
          case OP.EMPTY_LIST:
          case OP.EMPTY_DICT:
          case OP.EMPTY_SET:
            stack.push(new Container());
            break;
          case OP.TUPLE1:
            this.#gather(this.#stack.below(1), position);
            break;
          case OP.TUPLE2:
            this.#gather(this.#stack.below(2), position);
            break;
          case OP.TUPLE3:
            this.#gather(this.#stack.below(3), position);
            break;
          case OP.TUPLE:
          case OP.LIST:
          case OP.DICT:
          case OP.FROZENSET:
            this.#gather(this.#stack.unmark(), position);
            break;
          case OP.APPEND:
            this.#addTo(this.#stack.below(1), position);
            break;
          case OP.SETITEM:
            this.#addTo(this.#stack.below(2), position);
            break;
          case OP.APPENDS:
          case OP.SETITEMS:
          case OP.ADDITEMS:
            this.#addTo(this.#stack.unmark(), position);
            break;
          case OP.POP:
            this.#stack.drop();
            this.#discarded += 1;
            break;
          case OP.POP_MARK:
            this.#stack.cut(this.#stack.unmark());
            this.#discarded += 1;
            break;
          case OP.DUP:
            stack.push(this.#stack.top());
            break;
          case OP.MEMOIZE:
            this.#memo.append(this.#stack.top());
            break;
          case OP.BINPUT:
            next = tape.within(position + 2);
            this.#remember(bytes[at + 1] ?? 0, instructions, position);
            break;
          case OP.LONG_BINPUT:
            next = tape.within(position + 5);
            this.#remember(bytes.readUInt32LE(at + 1), instructions, position);
            break;
          case OP.PUT:
            next = tape.line(position + 1) + 1;
            this.#remember(tape.index(position, next), instructions, position);
            break;
          case OP.BINGET:
            next = tape.within(position + 2);
            stack.push(this.#memo.get(bytes[at + 1] ?? 0));
            break;
          case OP.LONG_BINGET:
            next = tape.within(position + 5);
            stack.push(this.#memo.get(bytes.readUInt32LE(at + 1)));
            break;
          case OP.GET:
            next = tape.line(position + 1) + 1;
            stack.push(this.#memo.get(tape.index(position, next)));
            break;
          case OP.BUILD:
            next = this.#calls.build(position);
            // joblib writes arrays straight into the file, whatever frame is open.
            if (next !== position + 1) frame = Number.POSITIVE_INFINITY;
            break;
          case OP.NEXT_BUFFER:
            stack.push(OPAQUE);
            break;
          case OP.READONLY_BUFFER:
            this.#stack.top();
            break;
          case OP.PROTO: {
            next = tape.within(position + 2);
            const protocol = bytes[at + 1] ?? 0;
            if (instructions > 1) this.#listener.anomaly('protocol', 'a protocol marker in the middle of the stream', position);
            else if (protocol > 5) throw new Broken(`protocol ${protocol} does not exist`);
            break;
          }
          case OP.FRAME: {
            next = tape.within(position + 9);
            const end = next + Number(bytes.readBigUInt64LE(at + 1));
            if (end > limit) this.#listener.anomaly('truncated', 'a frame reaches beyond the end', position);
            if (next <= frame && frame !== Number.POSITIVE_INFINITY && next < frame)
              this.#listener.anomaly('frame', 'a frame begins inside another', position);
            frame = end;
            break;
          }
          case OP.STOP:
            this.#stack.pop();
            if (stack.length > 0) this.#listener.anomaly('leftover', `${stack.length} values are left on the stack`, position);
            return { stopped: true, end: next, instructions, reason: '' };
          default:
            next = this.#calls.step(op, position);
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

  #counted(position: number, head: number, length: number): number {
    return this.#tape.within(position + head + length);
  }

  #text(position: number, head: number, length: number): number {
    const end = this.#counted(position, head, length);
    if (length >= 4) {
      const start = position + head;
      const first = this.#tape.byte(start);
      const second = this.#tape.byte(start + 1);
      // A pickle begins with 0x80 and its protocol; in UTF-8 text of Latin-1 bytes that is 0xc2 0x80.
      if ((first === 0x80 && second <= 5) || (first === 0xc2 && second === 0x80)) this.#listener.literal(start, length);
    }
    return end;
  }

  #gather(height: number, position: number): void {
    const container = this.#stack.collect(height);
    this.#checkShape(container, position);
    this.#stack.values.push(container);
  }

  #addTo(height: number, position: number): void {
    const target = this.#stack.under(height);
    if (target === EMPTY_TUPLE) {
      // CPython looks at what it adds to only where there is something to add.
      if (this.#stack.values.length > height) throw new Broken('nothing to add to');
      return;
    }
    if (typeof target === 'object' && target.kind === 'container') {
      target.absorb(this.#stack.values, height);
      this.#checkShape(target, position);
    } else if (typeof target === 'object' && target.kind === 'call') this.#listener.filled(target, position);
    this.#stack.cut(height);
  }

  #checkShape({ weight, depth }: Value & object, position: number): void {
    if (depth > DEEP) this.#discarded += 1;
    if (depth > DEPTH) throw new Broken(`objects nest deeper than ${DEPTH} levels`);
    if (weight > EXPANSION && weight > EXPANSION_RATIO * this.#tape.limit)
      this.#listener.anomaly('expansion', 'shared parts unfold to more than 10 billion objects', position);
  }

  #remember(index: number, instructions: number, position: number): void {
    this.#memo.set(index, this.#stack.top());
    if (index > instructions + MEMO_GAP) this.#listener.anomaly('memo', `memo index ${index} after ${instructions} instructions`, position);
  }
}
