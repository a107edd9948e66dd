import { scanPickle } from '../pickle/streams.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { isZero } from '../source.ts';

const MAGIC_BYTES = 6;
/** A header longer than this is none (numpy.lib.format refuses above 10,000 unless told otherwise). */
const HEADER_LIMIT = 65_536;
const MAX_DIMENSIONS = 64;

/** A value of a Python literal: what the header of an array may be made of. */
type Literal = string | number | boolean | null | Literal[] | Map<string, Literal>;

class NotLiteral extends Error {}

/** `.npy` (NEP 1): a literal dict, then the elements, or a pickle where elements are objects. */
export async function scanNumpy(piece: Piece): Promise<void> {
  const { source } = piece;
  const head = source.read(0, 12);
  const wide = (head[6] ?? 1) >= 2;
  if ((head[6] ?? 0) < 1 || (head[6] ?? 0) > 3 || head.length < (wide ? 12 : 10)) {
    piece.report('numpy-broken', 'an unknown version of the array format');
    return;
  }
  const start = MAGIC_BYTES + (wide ? 6 : 4);
  const length = wide ? head.readUInt32LE(8) : head.readUInt16LE(8);
  if (length > HEADER_LIMIT || start + length > source.size) {
    piece.report('numpy-broken', `the header says it has ${length} bytes`);
    return;
  }
  let header: Literal;
  try {
    header = parseLiteral(source.read(start, length).toString('latin1'));
  } catch (error) {
    if (!(error instanceof NotLiteral)) throw error;
    piece.report('numpy-header', `the header is not a literal: ${error.message}`, start);
    return;
  }
  await scanElements(piece, header, start + length);
}

async function scanElements(piece: Piece, header: Literal, start: number): Promise<void> {
  const { source } = piece;
  if (!(header instanceof Map)) {
    piece.report('numpy-broken', 'the header is not a dict');
    return;
  }
  const descriptor = header.get('descr') ?? null;
  const shape = header.get('shape');
  if (
    !Array.isArray(shape) ||
    shape.length > MAX_DIMENSIONS ||
    !shape.every((size) => typeof size === 'number' && Number.isInteger(size) && size >= 0)
  ) {
    piece.report('numpy-broken', 'the header has no valid shape');
    return;
  }
  if (holdsObjects(descriptor)) {
    await scanPickle(piece, start);
    return;
  }
  const item = itemSize(descriptor);
  if (item === null) {
    piece.report('numpy-broken', 'the header has no valid type');
    return;
  }
  let bytes = item;
  for (const size of shape) bytes *= typeof size === 'number' ? size : 0;
  if (!Number.isSafeInteger(bytes) || start + bytes > source.size)
    piece.report('numpy-broken', 'the shape needs more bytes than there are', start);
  else if (start + bytes < source.size && !isZero(source, start + bytes, source.size)) {
    piece.report('zip-hidden', `${source.size - start - bytes} bytes behind the array`, start + bytes);
    await piece.inside(piece.part(start + bytes, source.size).source, `${piece.name}!tail`, start + bytes, 'hidden').scan();
  }
}

function holdsObjects(descriptor: Literal): boolean {
  if (typeof descriptor === 'string') return /^[<>|=]?O/.test(descriptor);
  return (
    Array.isArray(descriptor) && descriptor.some((field) => (Array.isArray(field) ? holdsObjects(field[1] ?? null) : holdsObjects(field)))
  );
}

function itemSize(descriptor: Literal): number | null {
  if (typeof descriptor === 'string') {
    const match = /^[<>|=]?([?a-zA-Z])(\d*)(\[.*\])?$/.exec(descriptor);
    if (match?.[1] === undefined) return null;
    const count = match[2] === '' ? 1 : Number(match[2]);
    return match[1] === 'U' ? 4 * count : count;
  }
  if (!Array.isArray(descriptor)) return null;
  let total = 0;
  for (const field of descriptor) {
    if (!Array.isArray(field)) return null;
    let size = itemSize(field[1] ?? null);
    if (size === null) return null;
    const shape = field[2];
    for (const count of Array.isArray(shape) ? shape : typeof shape === 'number' ? [shape] : [])
      size *= typeof count === 'number' ? count : 1;
    total += size;
  }
  return total;
}

/** Strings, numbers, booleans, None, tuples, lists and dicts, as `ast.literal_eval` reads them; anything else is an expression. */
function parseLiteral(text: string): Literal {
  const token = /\s*(?:([[\](){},:])|(?:[bu])?'((?:[^'\\\n]|\\.)*)'|(?:[bu])?"((?:[^"\\\n]|\\.)*)"|([+-]?\d+)[lL]?|(True|False|None)\b)/gy;
  let current: RegExpExecArray | null = null;
  const next = (): RegExpExecArray | null => {
    const at = token.lastIndex;
    current = token.exec(text);
    if (current === null && text.slice(at).trim() !== '') throw new NotLiteral(quote(text.slice(at).trim(), 60));
    return current;
  };
  const value = (depth: number): Literal => {
    if (current === null || depth > 32) throw new NotLiteral('it breaks off');
    const [, mark, single, double, number, word] = current;
    if (single !== undefined || double !== undefined) return single ?? double ?? '';
    if (number !== undefined) return Number(number);
    if (word !== undefined) return word === 'None' ? null : word === 'True';
    if (mark === '(' || mark === '[') return sequence(mark === '(' ? ')' : ']', depth);
    if (mark === '{') return dict(depth);
    throw new NotLiteral(`unexpected ${mark ?? ''}`);
  };
  const sequence = (close: string, depth: number): Literal[] => {
    const items: Literal[] = [];
    for (next(); current?.[1] !== close; ) {
      items.push(value(depth + 1));
      if (next()?.[1] === ',') next();
      else if (current?.[1] !== close) throw new NotLiteral('a sequence without commas');
    }
    return items;
  };
  const dict = (depth: number): Map<string, Literal> => {
    const entries = new Map<string, Literal>();
    for (next(); current?.[1] !== '}'; ) {
      const key = value(depth + 1);
      if (next()?.[1] !== ':') throw new NotLiteral('a key without a value');
      next();
      entries.set(String(key), value(depth + 1));
      if (next()?.[1] === ',') next();
      else if (current?.[1] !== '}') throw new NotLiteral('a dict without commas');
    }
    return entries;
  };
  next();
  const result = value(0);
  if (next() !== null) throw new NotLiteral('more than one value');
  return result;
}
