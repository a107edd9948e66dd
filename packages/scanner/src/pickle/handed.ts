import type { ByteSource } from '../source.ts';
import { isConditional, isLarge, isOwnMethod } from './conditional.ts';
import { isDistribution } from './distribution.ts';
import { judge } from './policy.ts';
import type { Call, Global, Value } from './value.ts';

/** Allowed functions that only keep what they are given; `passedOn` judges their calls. */
const KEEPERS: ReadonlySet<string> = new Set(['partial', 'vectorize', 'defaultdict', 'getattr', 'type']);
/** Unpickles the bytes it is given. */
const LOADER = 'torch.storage _load_from_bytes';
/** A range that takes seconds to walk through. */
const LONG = 1e8;

/** Whether an imported name is one of those that no call may be given: `handedOver` need not look before. */
export function isWatched(global: Global): boolean {
  return (
    isConditional(global) ||
    isDistribution(global) ||
    isOwnMethod(global) ||
    `${global.module} ${global.name}` === LOADER ||
    global.name === 'partial' ||
    global.name === 'range' ||
    global.name === 'xrange' ||
    isKept(global)
  );
}

function isKept({ module, name }: Global): boolean {
  const judgement = judge(module, name);
  return judgement.kind === 'allowed' && judgement.kept;
}

/**
 * What a call is given that may be kept and not be called: a function, a bound method, a class that runs its state. Any function may call
 * what it is given, by itself or, as `copyreg` and `numpy.random._pickle.__generator_ctor` do, through one of its attributes.
 */
export function handedOver({ how, callee, args }: Call): Value | null {
  if (typeof callee !== 'object' || callee.kind !== 'global' || KEEPERS.has(callee.name)) return null;
  // A class, and its base: the class is judged by what is done with the object.
  const reconstructed = callee.name === '_reconstructor';
  if (typeof args !== 'object' || args.kind !== 'container') return null;
  for (const [index, item] of (args.items ?? []).entries()) {
    if (typeof item !== 'object') continue;
    // NEWOBJ_EX: the arguments and those by name.
    if (item.kind === 'container' && how === 'new') {
      for (const inner of item.items ?? []) if (typeof inner === 'object' && isFunction(inner)) return inner;
    } else if (isFunction(item) && !(reconstructed && index === 0 && isDistribution(item))) return item;
  }
  return null;
}

function isFunction(value: Value & object): boolean {
  if (value.kind === 'global') return value.name !== 'range' && value.name !== 'xrange' && value.name !== 'partial' && isWatched(value);
  if (value.kind !== 'call' || typeof value.callee !== 'object' || value.callee.kind !== 'global') return false;
  return isConditional(value.callee) || value.callee.name === 'partial';
}

/** The arguments of a call or a class given to `copyreg`, where it is computed what they are: no pickler writes that. */
export function computedPart({ how, callee, args }: Call): Value | null {
  if (how !== 'reduce' && how !== 'new') return null;
  if (typeof args === 'object' && args.kind === 'call') return args;
  if (typeof callee !== 'object' || callee.kind !== 'global' || typeof args !== 'object' || args.kind !== 'container') return null;
  if (callee.name === 'iter') return args.count === 1 ? null : (args.items?.[0] ?? null);
  if (!/^copy_?reg$/.test(callee.module)) return null;
  const [made, base] = args.items ?? [];
  for (const part of callee.name === '_reconstructor' ? [made, base] : [made])
    if (part !== undefined && !(typeof part === 'object' && part.kind === 'global')) return part;
  return null;
}

/** `max(range(2**31))`: a range that something walks through. */
export function longRange(source: ByteSource, { callee, args }: Call): Value | null {
  if (typeof callee === 'object' && callee.kind === 'global' && KEEPERS.has(callee.name)) return null;
  const items = typeof args === 'object' && args.kind === 'container' ? (args.items ?? []) : [];
  for (const item of items) {
    if (typeof item !== 'object' || item.kind !== 'call' || typeof item.callee !== 'object' || item.callee.kind !== 'global') continue;
    const bounds = typeof item.args === 'object' && item.args.kind === 'container' ? (item.args.items ?? []) : [];
    if (/^x?range$/.test(item.callee.name) && bounds.some((bound) => typeof bound === 'number' && isLarge(source, bound, LONG)))
      return item;
  }
  return null;
}

/** BUILD of a `functools.partial`: what it says to be called, where that is not an imported name. */
export function replaced({ callee }: Call, state: Value): Value | null {
  if (typeof callee !== 'object' || callee.kind !== 'global' || callee.module !== 'functools' || callee.name !== 'partial') return null;
  if (typeof state !== 'object' || state.kind !== 'container') return state;
  const first = state.items?.[0];
  return typeof first === 'object' && first.kind === 'global' && !isConditional(first) ? null : (first ?? state);
}
