import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { reportOperation } from './tensorflow.ts';
import { isText } from './text.ts';

/** How graphs, SavedModels and meta graphs begin in the text format of protocol buffers, behind comments. */
const FIRST =
  /^\ufeff?(?:\s|#[^\n]*(?:\n|$)|;|,)*(?:saved_model_schema_version\s*:|(?:meta_graphs|meta_info_def|graph_def|node|library|versions)\s*:?\s*[{<[])/;
const NODE = /\bnode(?:_def)?\s*(?:#[^\n]*\n\s*)*:?\s*(?:#[^\n]*\n\s*)*[{<[]/;
const OPERATION = /\bop\s*(?:#[^\n]*\n\s*)*:\s*(?:#[^\n]*\n\s*)*["']/;
/** Comments, strings, names, and every other character; what has no end goes to the end of its line. */
const TOKEN = /#[^\n]*|"(?:[^"\\\n]|\\.)*(?:"|\\?)|'(?:[^'\\\n]|\\.)*(?:'|\\?)|\w+|\S/g;
const ESCAPE = /\\(?:x([0-9a-f]{1,2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([0-7]{1,3})|(.))/gi;
const HEAD = 65_536;
const WINDOW = 2 ** 20;
/** Of a token that a window cuts, no name of an operation is longer. */
const KEPT = 4096;
/** No operation has a longer name, however many literals it is written as. */
const NAME = 256;

/** `saved_model.pbtxt`, `graph.pbtxt`: loaders read them like the binary form. */
export function isTextGraph(piece: Piece): boolean {
  return isText(piece) && FIRST.test(piece.source.read(0, HEAD).toString('utf8'));
}

/** Whether a text has a node and an operation anywhere. */
export function holdsNodes({ source, run }: Piece): boolean {
  let [nodes, operations] = [false, false];
  for (let base = 0; base < source.size && !(nodes && operations); base += WINDOW) {
    run.checkTime();
    const text = source.read(base, WINDOW + KEPT).toString('latin1');
    nodes ||= NODE.test(text);
    operations ||= OPERATION.test(text);
  }
  return nodes && operations;
}

/** Every field `op`. Its value may be written as several literals side by side. */
export function scanTextGraph(piece: Piece): void {
  const { source } = piece;
  let rest = '';
  /** What has been read of the value of a field `op`; null outside of one. */
  let value: string | null = null;
  let start = 0;
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const text: string = rest + source.read(base, WINDOW).toString('latin1');
    const from = base - rest.length;
    rest = '';
    for (const { 0: token, index } of text.matchAll(TOKEN)) {
      piece.run.spend(COST.scalar);
      if (index + token.length === text.length && base + WINDOW < source.size) {
        rest = token.length > KEPT ? shortened(token) : token;
        break;
      }
      if (token.startsWith('#') || (value === '' && token === ':')) continue;
      if (value !== null && /^["']/.test(token)) {
        if (value.length <= NAME) value += unescaped(token.slice(1, -1));
        continue;
      }
      if (value !== null && value !== '') reportOperation(piece, value, start);
      value = token === 'op' ? '' : null;
      start = from + index;
      if (value === '') piece.run.spend(COST.field);
    }
  }
  if (value !== null) reportOperation(piece, value, start);
}

/** The front of a token that goes on: with the backslash, or none, that the next character is behind. */
function shortened(token: string): string {
  let backslashes = 0;
  while (token[token.length - 1 - backslashes] === '\\') backslashes += 1;
  return `${token[0] ?? ''}${'x'.repeat(KEPT)}${backslashes % 2 === 1 ? '\\' : ''}`;
}

function unescaped(literal: string): string {
  return literal.replace(ESCAPE, (_, byte?: string, short?: string, long?: string, octal?: string, plain: string = '') => {
    const hexadecimal = byte ?? short ?? long;
    const code = hexadecimal === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(hexadecimal, 16);
    return Number.isNaN(code) || code > 0x10ffff ? plain : String.fromCodePoint(code);
  });
}
