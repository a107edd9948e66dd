import { quote } from '../report.ts';
import type { ByteSource } from '../source.ts';
import { readLiteral } from './literal.ts';
import type { Value } from './value.ts';

const DEPTH = 3;
const ARGUMENTS = 4;

/** A value as Python would write it, as far as it is static: `posix.system('id')`. Short, and safe to print. */
export function describe(source: ByteSource, value: Value, depth: number = 0): string {
  if (typeof value === 'number') {
    const literal = readLiteral(source, value);
    if (literal.type === 'text') return `'${quote(literal.text, 60)}'`;
    if (literal.type === 'bytes') return `<${literal.length} bytes>`;
    return quote(literal.type === 'number' ? String(literal.value) : literal.text, 20);
  }
  switch (value.kind) {
    case 'global':
      return quote(value.computed ? '<computed name>' : `${value.module}.${value.name}`, 100);
    case 'container':
      return depth >= DEPTH ? '…' : `(${list(source, value, depth)})`;
    case 'call':
      if (depth >= DEPTH) return '…';
      return `${value.how === 'extension' ? '<extension>' : describe(source, value.callee, depth + 1)}(${list(source, value.args, depth)})`;
    case 'opaque':
      return '?';
  }
}

/** The arguments of a call, without the brackets around them. */
export function list(source: ByteSource, args: Value, depth: number = 0): string {
  if (typeof args === 'number' || args.kind !== 'container') return describe(source, args, depth + 1);
  const shown = (args.items ?? []).slice(0, ARGUMENTS).map((item) => describe(source, item, depth + 1));
  return args.count > shown.length ? `${shown.join(', ')}, …` : shown.join(', ');
}
