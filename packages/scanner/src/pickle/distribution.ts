import type { ByteSource } from '../source.ts';
import { readLiteral } from './literal.ts';
import type { Value } from './value.ts';

/** Modules of SciPy whose classes inherit `rv_generic`, by their present and their older names. */
const MODULES = /^scipy\.stats\.(?:_?(?:continuous|discrete)_distns|_?distn_infrastructure|distributions)$/;
const CODE = '_parse_arg_template';
/** Methods that `rv_generic.__setstate__` goes through; an attribute of the same name would be called in their place. */
const METHODS: ReadonlySet<string> = new Set(['_attach_methods', '_attach_argparser_methods']);
const SHAPES = '((?:[A-Za-z_]\\w*, )*)';
/** What `rv_generic._construct_argparser` writes out of names of parameters (scipy.stats._distn_infrastructure, `parse_arg_template`). */
const TEMPLATES: readonly RegExp[] = [
  ['loc=0, scale=1', 'loc, scale'],
  ['loc=0', 'loc, 1'],
].map(
  ([given = '', passed = '']) =>
    new RegExp(
      `^\\ndef _parse_args\\(self, ${SHAPES} ${given}\\):\\n {4}return \\(\\1\\), ${passed}\\n` +
        `\\ndef _parse_args_rvs\\(self, \\1 ${given}, size=None\\):\\n {4}return ` +
        `(?:self\\._argcheck_rvs\\(\\1 ${passed}, size=size\\)|\\(\\1\\), ${passed}, size)\\n` +
        `\\ndef _parse_args_stats\\(self, \\1 ${given}, moments='mv'\\):\\n {4}return \\(\\1\\), ${passed}, moments\\n$`,
    ),
);
const NESTED = 4;

/** A class of distributions: it runs a part of its state as Python code (`rv_generic.__setstate__` calls `exec`). */
export function isDistribution(value: Value): boolean {
  return typeof value === 'object' && value.kind === 'global' && MODULES.test(value.module);
}

/** `code`: the state brings code that SciPy did not write. `computed`: it cannot be told what it brings. */
export function judgeState(source: ByteSource, state: Value): 'sound' | 'code' | 'computed' {
  if (typeof state === 'number') return readLiteral(source, state).type === 'other' ? 'sound' : 'computed';
  if (bringsCode(source, state, 0)) return 'code';
  if (state.kind !== 'container') return 'computed';
  const items = state.items ?? [];
  if (items.length < state.count) return 'computed';
  // Before SciPy 1.5: the parameters, of which the class checks each, and a random state.
  const [first, second] = items;
  if (items.length === 2 && typeof first === 'object')
    return first.kind === 'container' && isStatic(source, first.items) && second !== undefined ? 'sound' : 'computed';
  return isStatic(source, items) ? 'sound' : 'computed';
}

/** Whether these are keys and values of a dict. Pairs of a list could be made of texts of two letters. */
function isStatic(source: ByteSource, items: readonly Value[] | null): boolean {
  return (items ?? []).every((key, index) => {
    if (index % 2 === 1) return true;
    const literal = typeof key === 'number' ? readLiteral(source, key) : null;
    return literal?.type === 'text' && [...literal.text].length !== 2;
  });
}

function bringsCode(source: ByteSource, value: Value, depth: number): boolean {
  if (typeof value === 'number' || value.kind !== 'container' || depth > NESTED) return false;
  return (value.items ?? []).some((item, index, items) => {
    if (typeof item !== 'number') return bringsCode(source, item, depth + 1);
    const literal = readLiteral(source, item);
    if (literal.type !== 'text') return false;
    if (METHODS.has(literal.text)) return true;
    if (literal.text !== CODE) return false;
    const code = items[index + 1];
    const text = typeof code === 'number' ? readLiteral(source, code) : null;
    return text?.type !== 'text' || !TEMPLATES.some((template) => template.test(text.text));
  });
}
