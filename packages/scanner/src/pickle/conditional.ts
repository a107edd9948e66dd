import type { ByteSource } from '../source.ts';
import { readLiteral } from './literal.ts';
import { judge } from './policy.ts';
import type { Call, Global, Value } from './value.ts';

/** Functions on the deny list that plain values call all the same: a bound method is pickled by getattr, the type of None by type. */
const CONDITIONAL: ReadonlySet<string> = new Set(['builtins getattr', '__builtin__ getattr', 'builtins type', '__builtin__ type']);
/** Libraries whose objects refer to methods of their own; of others, a bound method could be one that writes files. */
const BOUND: ReadonlySet<string> = new Set(['scipy', 'sklearn', 'zoneinfo']);
const METHOD = /^_?[A-Za-z]\w*$/;

export function isConditional(value: Value): boolean {
  return typeof value !== 'number' && value.kind === 'global' && CONDITIONAL.has(`${value.module} ${value.name}`);
}

/**
 * `type(x)` with one argument, or `getattr(x, 'method')` of an allowed object of a library above. What comes back is not harmless to call:
 * that is a call of a computed value and judged as such.
 */
export function isHarmless(source: ByteSource, callee: Value, args: Value): boolean {
  if (typeof callee === 'number' || callee.kind !== 'global' || typeof args === 'number' || args.kind !== 'container') return false;
  const [first, second] = args.items ?? [];
  if (callee.name === 'type') return args.count === 1;
  if (args.count !== 2 || first === undefined || typeof second !== 'number') return false;
  const literal = readLiteral(source, second);
  return literal.type === 'text' && METHOD.test(literal.text) && isOwn(first);
}

/** The method by which a time zone restores itself: `getattr(zoneinfo.ZoneInfo, '_unpickle')`. */
export function isUnpickler(source: ByteSource, call: Call): boolean {
  if (!isConditional(call.callee) || typeof call.args === 'number' || call.args.kind !== 'container') return false;
  const [first, second] = call.args.items ?? [];
  if (typeof first !== 'object' || first.kind !== 'global' || first.module !== 'zoneinfo' || typeof second !== 'number') return false;
  const literal = readLiteral(source, second);
  return literal.type === 'text' && literal.text === '_unpickle';
}

function isOwn(value: Value): boolean {
  const global = typeof value === 'object' && value.kind === 'call' ? madeOf(value) : value;
  if (typeof global !== 'object' || global.kind !== 'global') return false;
  return BOUND.has(global.module.split('.', 1)[0] ?? '') && judge(global.module, global.name).kind === 'allowed';
}

/** The class of which a call makes an object: protocols 0 and 1 name it to a function of copyreg. */
export function madeOf({ callee, args }: Call): Value {
  if (typeof callee !== 'object' || callee.kind !== 'global' || !/^copy_?reg$/.test(callee.module)) return callee;
  return (typeof args === 'object' && args.kind === 'container' ? args.items?.[0] : undefined) ?? callee;
}

/** `interp1d._call_linear`: since protocol 4 a method of such a class is imported by a dotted name, to be kept, not to be called while loading. */
export function isOwnMethod({ module, name }: Global): boolean {
  const [owner = '', method = '', ...more] = name.split('.');
  return BOUND.has(module.split('.', 1)[0] ?? '') && more.length === 0 && METHOD.test(method) && judge(module, owner).kind === 'allowed';
}

/** Allowed functions that call, or keep in order to call, the first thing they are given. */
const HIGHER_ORDER: ReadonlySet<string> = new Set([
  'functools partial',
  'numpy vectorize',
  'numpy.lib.function_base vectorize',
  'numpy.lib._function_base_impl vectorize',
  'collections defaultdict',
  '_collections defaultdict',
  'torch._tensor _rebuild_from_type',
  'torch._tensor _rebuild_from_type_v2',
  'torch.tensor _rebuild_from_type',
  'torch.tensor _rebuild_from_type_v2',
]);

/** What a call passes on to be called, where that is anything but a plain imported name: a computed value, or a conditional function. */
export function passedOn(call: Call): Value | null {
  const { how, callee, args } = call;
  const given = typeof args === 'object' && args.kind === 'container' ? args.items?.[0] : undefined;
  // NEWOBJ_EX: the arguments and those by name.
  const first = how === 'new' && typeof given === 'object' && given.kind === 'container' ? given.items?.[0] : given;
  if (typeof first !== 'object' || first.kind === 'container') return null;
  if (typeof callee !== 'object' || callee.kind !== 'global' || !HIGHER_ORDER.has(`${callee.module} ${callee.name}`)) return null;
  return first.kind === 'call' || isConditional(first) ? first : null;
}

const SIZED: ReadonlySet<string> = new Set(['bytes', 'bytearray', 'list', 'tuple', 'set', 'frozenset', 'sorted']);
const LARGE = 1e9;

/** `bytearray(10**12)`: a call that allocates without bound. */
export function isBomb(source: ByteSource, { callee, args }: Call): boolean {
  const first = typeof args === 'object' && args.kind === 'container' ? args.items?.[0] : undefined;
  if (first === undefined || typeof callee !== 'object' || callee.kind !== 'global' || !SIZED.has(callee.name)) return false;
  if (!/^(__)?builtins?(__)?$/.test(callee.module)) return false;
  return typeof first === 'number' && isLarge(source, first, LARGE);
}

export function isLarge(source: ByteSource, value: number, bound: number): boolean {
  const literal = readLiteral(source, value);
  return literal.type === 'number' && Math.abs(literal.value) >= bound;
}

/** Whether what an allowed function is called with makes a difference. */
export function judgesArguments({ module, name }: Global): boolean {
  return SIZED.has(name) || HIGHER_ORDER.has(`${module} ${name}`);
}
