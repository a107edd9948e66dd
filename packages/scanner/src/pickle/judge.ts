import { type AdvisoryId, advisoryOf } from '../advisories.ts';
import { COST, LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import type { RuleId } from '../rules.ts';
import { type ByteSource, bufferSource } from '../source.ts';
import { isBomb, isConditional, isHarmless, isOwnMethod, isUnpickler, judgesArguments, madeOf, passedOn } from './conditional.ts';
import { describe, list } from './describe.ts';
import { isDistribution, judgeState } from './distribution.ts';
import { computedPart, handedOver, isWatched, longRange, replaced } from './handed.ts';
import { entry, inlineArray, isArrayWrapper } from './joblib.ts';
import type { Anomaly, Listener, StreamEnd } from './listener.ts';
import { readLiteral } from './literal.ts';
import { Machine } from './machine.ts';
import { type Judgement, judge } from './policy.ts';
import type { Call, Container, Global, Value } from './value.ts';

/** Where findings of a walk go. A search in raw bytes collects only what is certain. */
export type Sink = (rule: RuleId, message: string, offset: number, advisory?: AdvisoryId) => void;

export interface WalkOptions {
  /** Persistent ids are storages, as in a PyTorch container. */
  readonly torch: boolean;
  readonly depth: number;
}

const NESTED_DEPTH = 6;
const TORCHSCRIPT = /^__torch__(\.|$)/;
const TENSOR = /^torch(?:\.\w+)* (?:_rebuild\w*|\w*(?:Tensor|Storage|Parameter))$/;
const FRAME_READINGS = 16;
const MAX_CROSSINGS = 4;
/** What an array's bytes can look like by chance. */
const CHANCE: ReadonlySet<RuleId> = new Set(['pickle-broken', 'pickle-leftover', 'pickle-protocol']);
/** Functions that unpickle the bytes they are given and are part of benign files; the bytes are scanned and the call is reported. */
const INNER_LOADERS: ReadonlySet<string> = new Set(['torch.storage _load_from_bytes']);
const ANOMALY: Readonly<Record<Anomaly, RuleId>> = {
  frame: 'pickle-frame',
  protocol: 'pickle-protocol',
  memo: 'pickle-memo',
  expansion: 'pickle-expansion',
  leftover: 'pickle-leftover',
  truncated: 'pickle-broken',
};
const WRAPPERS: ReadonlySet<string> = new Set(['NDArrayWrapper', 'ZNDArrayWrapper']);

/** Bytes that a pickle hands to a loader, to be scanned as a file of their own once the walk is over. */
export interface Inner {
  readonly start: number;
  readonly length: number;
}

/** Walks one pickle and judges what a loader would do. The inner files it names are appended to `inner`. */
export function walk(piece: Piece, source: ByteSource, start: number, options: WalkOptions, sink: Sink, inner: Inner[]): StreamEnd {
  const listener = new Judge(piece, source, options, sink, inner);
  const end = new Machine(source, start, listener).run();
  listener.conclude();
  return end;
}

class Judge implements Listener {
  readonly #piece: Piece;
  readonly #source: ByteSource;
  readonly #options: WalkOptions;
  readonly #sink: Sink;
  readonly #inner: Inner[];
  #conditional: Global | null = null;
  #excused: boolean = false;
  /** Whether there is a function that may be kept and not be called. */
  #watched: boolean = false;
  #crossings: number = 0;
  #discarded: number = 0;
  #built: Value = 0;

  constructor(piece: Piece, source: ByteSource, options: WalkOptions, sink: Sink, inner: Inner[]) {
    this.#piece = piece;
    this.#source = source;
    this.#options = options;
    this.#sink = sink;
    this.#inner = inner;
  }

  /** Reports the functions that are harmless in certain calls only, where no such call was made. */
  conclude(): void {
    const global = this.#conditional;
    if (global !== null && !this.#excused)
      this.#sink('pickle-dangerous-import', `imports ${describe(this.#source, global)}, which reaches the interpreter`, global.offset);
  }

  imported(global: Global): void {
    this.#piece.run.spend(COST.import);
    if (global.computed) {
      this.#sink('pickle-computed-name', 'imports a name that is computed while loading', global.offset);
      return;
    }
    this.#watched ||= isWatched(global);
    if (INNER_LOADERS.has(`${global.module} ${global.name}`)) return;
    if (isConditional(global)) {
      this.#conditional ??= global;
      return;
    }
    const judgement = this.#judge(global);
    if (judgement.kind === 'allowed') {
      if (!judgement.kept) global.call = judgesArguments(global) ? 'arguments' : 'none';
      return;
    }
    const name = describe(this.#source, global);
    switch (judgement.kind) {
      case 'denied':
        this.#sink(
          'pickle-dangerous-import',
          `imports ${name}, which ${judgement.capability}`,
          global.offset,
          advisoryOf(global.module, global.name),
        );
        break;
      case 'dunder':
        this.#sink('pickle-dunder-attribute', `imports ${name}`, global.offset);
        break;
      case 'dotted':
        if (!isOwnMethod(global)) this.#sink('pickle-dotted-name', `imports ${name}`, global.offset);
        break;
      case 'unknown':
        this.#sink('pickle-unknown-import', `imports ${name}`, global.offset);
        break;
    }
  }

  /** In a TorchScript archive `__torch__` holds the classes that the archive defines itself, in its `code` directory. */
  #judge({ module, name }: Global): Judgement {
    if (this.#options.torch && TORCHSCRIPT.test(module) && !name.includes('.')) return { kind: 'allowed', kept: false };
    return judge(module, name);
  }

  called(call: Call): void {
    const computed = computedPart(call);
    const handed = computed === null && this.#watched ? handedOver(call) : null;
    if (computed !== null || handed !== null)
      this.#sink('pickle-computed-call', `hands ${describe(this.#source, computed ?? handed ?? 0)} to what may call it`, call.offset);
    if (this.#watched && longRange(this.#source, call) !== null)
      this.#sink('pickle-expansion', `calls ${describe(this.#source, call)}`, call.offset);
    if (typeof call.callee === 'object' && call.callee.kind === 'global' && call.callee.call !== 'whole') {
      if (call.callee.call === 'arguments') this.#arguments(call, call.callee);
      return;
    }
    if (call.how === 'extension') this.#sink('pickle-extension', 'imports by a code of the extension registry', call.offset);
    else if (call.how === 'persistent') this.#persistent(call);
    else this.#called(call);
  }

  #called(call: Call): void {
    const { callee, offset } = call;
    if (typeof callee === 'number' || callee.kind === 'container') {
      this.#sink('pickle-broken', 'calls something that is no function', offset);
      return;
    }
    if (isConditional(callee)) {
      this.#excused ||= isHarmless(this.#source, callee, call.args);
      if (isHarmless(this.#source, callee, call.args)) return;
    }
    if (callee.kind === 'call' && isUnpickler(this.#source, callee)) return;
    if (callee.kind !== 'global') {
      this.#sink('pickle-computed-call', `calls the result of ${describe(this.#source, callee)}`, offset);
      return;
    }
    if (callee.computed) return;
    const key = `${callee.module} ${callee.name}`;
    if (INNER_LOADERS.has(key)) {
      this.#load(call);
      return;
    }
    const judgement = this.#judge(callee);
    this.#arguments(call, callee);
    if (judgement.kind === 'allowed' && !judgement.kept) return;
    const what = `${describe(this.#source, callee)}(${list(this.#source, call.args)})`;
    if (judgement.kind === 'denied') {
      const advisory = advisoryOf(callee.module, callee.name);
      this.#sink('pickle-dangerous-call', `calls ${what}, which ${judgement.capability}`, offset, advisory);
    } else this.#sink('pickle-unknown-call', `calls ${what}`, offset);
  }

  #arguments(call: Call, callee: Global): void {
    const passed = passedOn(call);
    if (passed !== null)
      this.#sink('pickle-computed-call', `has ${describe(this.#source, callee)} call ${describe(this.#source, passed)}`, call.offset);
    if (isBomb(this.#source, call)) this.#sink('pickle-expansion', `calls ${describe(this.#source, call)}`, call.offset);
  }

  #load(call: Call): void {
    const argument = typeof call.args !== 'number' && call.args.kind === 'container' ? call.args.items?.[0] : undefined;
    const literal = typeof argument === 'number' ? readLiteral(this.#source, argument) : null;
    this.#sink('pickle-nested-load', `calls ${describe(this.#source, call)}, which loads a pickle`, call.offset);
    if (literal?.type === 'bytes' || literal?.type === 'text') this.#inner.push({ start: literal.start, length: literal.length });
    else this.#sink('pickle-computed-name', 'loads a pickle out of bytes that are computed while loading', call.offset);
  }

  #persistent(call: Call): void {
    const { args } = call;
    const first = typeof args !== 'number' && args.kind === 'container' ? args.items?.[0] : undefined;
    const literal = typeof first === 'number' ? readLiteral(this.#source, first) : null;
    const storage = literal?.type === 'text' && (literal.text === 'storage' || literal.text === 'module');
    // The container of early PyTorch releases names its storages by a bare number.
    const number = this.#options.torch && typeof args === 'number';
    if (!(this.#options.torch && storage) && !number)
      this.#sink('pickle-persistent-id', 'asks the loader for a persistent object', call.offset);
  }

  built(target: Value, state: Value, offset: number): void {
    if (typeof target === 'number' || target.kind === 'container') return;
    // An object gets its state once.
    if (target === this.#built) this.#piece.run.spend(COST.discarded);
    this.#built = target;
    if (target.kind === 'call') this.#checkReplaced(target, state, offset);
    if (target.kind === 'global') {
      this.#sink('pickle-build-on-global', `writes state into ${describe(this.#source, target)} itself`, offset);
      return;
    }
    if (target.kind !== 'call') return;
    if (isWrapper(target.callee) && typeof state !== 'number' && state.kind === 'container') this.#checkFile(state, offset);
    const made = madeOf(target);
    if (isDistribution(made)) this.#checkDistribution(made, state, offset);
  }

  /** A state may put functions in the place of methods that a loader calls: `__setstate__`, `extend`, `append`, `add`. */
  #checkReplaced(target: Call, state: Value, offset: number): void {
    const other = replaced(target, state);
    const name = describe(this.#source, target.callee);
    if (other !== null) this.#sink('pickle-computed-call', `has ${name} call ${describe(this.#source, other)}`, offset);
    if (target.states > 1) this.#sink('pickle-computed-call', `gives the result of ${name} a second state`, offset);
  }

  #checkDistribution(made: Value, state: Value, offset: number): void {
    const judged = judgeState(this.#source, state);
    const name = describe(this.#source, made);
    if (judged === 'code') this.#sink('pickle-dangerous-call', `has ${name} run code of its state`, offset);
    else if (judged === 'computed') this.#sink('pickle-computed-call', `gives ${name} a state that it may run as code`, offset);
  }

  /** Tensors and storages are made whole; one that is filled afterwards is written to through a Python object that is not there yet. */
  filled({ callee, states }: Call, offset: number): void {
    if (states > 0) this.#sink('pickle-computed-call', `fills the result of ${describe(this.#source, callee)} behind its state`, offset);
    if (typeof callee !== 'number' && callee.kind === 'global' && TENSOR.test(`${callee.module} ${callee.name}`))
      this.#sink('pickle-filled-tensor', `puts items into the result of ${describe(this.#source, callee)}`, offset);
  }

  #checkFile(state: Container, offset: number): void {
    const file = entry(this.#source, state, 'filename');
    const literal = typeof file === 'number' ? readLiteral(this.#source, file) : null;
    if (literal?.type === 'text' && (/^[/\\]|^[A-Za-z]:|:\/\//.test(literal.text) || literal.text.split(/[/\\]/).includes('..')))
      this.#sink('joblib-filename', `an array is read from ${describe(this.#source, file ?? 0)}`, offset);
  }

  literal(start: number, length: number): void {
    this.#piece.run.spend(COST.pickle);
    if (this.#options.depth >= NESTED_DEPTH) {
      this.#sink('limit-depth', 'pickles nest deeper than is looked into', start);
      return;
    }
    const head = this.#source.read(start, 2);
    const found: [RuleId, string, AdvisoryId | undefined][] = [];
    const text = head[0] === 0xc2;
    // Decoded, walked.
    if (text) this.#piece.run.spend(COST.pickle);
    // Bytes are written as Latin-1 text by protocol 2; what is beyond a mebibyte of such text is no pickle worth hiding in.
    const bytes = text ? Buffer.from(this.#source.read(start, Math.min(length, 2 ** 20)).toString('utf8'), 'latin1') : null;
    const source = bytes === null ? this.#within(start, length) : bufferSource(bytes);
    const nested: Inner[] = [];
    const options = { torch: true, depth: this.#options.depth + 1 };
    const end = walk(
      this.#piece,
      source,
      bytes === null ? start : 0,
      options,
      (rule, message, _, advisory) => found.push([rule, message, advisory]),
      nested,
    );
    // Arrays begin with any bytes; only what a whole pickle says, or what no array says by chance, counts.
    for (const [rule, message, advisory] of found)
      if (end.stopped ? !CHANCE.has(rule) : rule === 'pickle-dangerous-call')
        this.#sink(rule, `a pickle held as bytes ${message}`, start, advisory);
    if (bytes === null) this.#inner.push(...nested);
  }

  /** The same source, ending where the literal ends. */
  #within(start: number, length: number): ByteSource {
    const { read, readInto } = this.#source;
    return { size: start + length, read: (offset, wanted) => read(offset, Math.min(wanted, start + length - offset)), readInto };
  }

  anomaly(kind: Anomaly, message: string, offset: number): void {
    this.#sink(ANOMALY[kind], message, offset);
    // The file is not clean by now; a few crossings are followed up, so that thousands cost no more.
    this.#crossings += kind === 'frame' ? 1 : 0;
    if (kind !== 'frame' || this.#crossings > MAX_CROSSINGS || this.#options.depth >= NESTED_DEPTH) return;
    // Loaders differ in how much of the instruction they take for read; any of the next bytes may be the next instruction.
    const options = { ...this.#options, depth: NESTED_DEPTH };
    const only: Sink = (rule, text, at, advisory) => {
      if (rule.startsWith('pickle-dangerous') || rule === 'pickle-computed-name') this.#sink(rule, text, at, advisory);
    };
    const end = Math.min(offset + FRAME_READINGS, this.#source.size);
    for (let start = offset; start < end; start += 1) walk(this.#piece, this.#source, start, options, only, this.#inner);
  }

  skip(built: Value, offset: number): number {
    if (typeof built === 'number' || built.kind !== 'call') return offset;
    if (isArrayWrapper(built)) this.#piece.run.spend(COST.array);
    const array = inlineArray(this.#source, built);
    if (array === null) return offset;
    if (array.kind === 'pickle') {
      if (this.#options.depth >= NESTED_DEPTH) return offset;
      const end = walk(this.#piece, this.#source, offset, { ...this.#options, depth: this.#options.depth + 1 }, this.#sink, this.#inner);
      return end.stopped ? end.end : offset;
    }
    const padding = array.aligned ? 1 + (this.#source.read(offset, 1)[0] ?? 0) : 0;
    return offset + padding + array.bytes;
  }

  /** Picklers throw values away where a tuple holds itself, and nowhere else. */
  tick(held: number, discarded: number): void {
    this.#piece.run.spend(COST.discarded * (discarded - this.#discarded));
    this.#discarded = discarded;
    this.#piece.run.checkTime();
    this.#piece.run.checkMemory();
    const { values } = this.#piece.limits;
    if (held > values) throw new LimitReached('limit-values', `a pickle holds more than ${values} values at once`);
  }
}

function isWrapper(callee: Value): boolean {
  return typeof callee !== 'number' && callee.kind === 'global' && WRAPPERS.has(callee.name);
}
