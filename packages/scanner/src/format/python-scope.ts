/** What runs when a module is imported, told from its text without compiling it. */
import { COST } from '../limits.ts';
import { type Block, Names } from './python-names.ts';

const TOKEN =
  /#[^\n]*|(?:(?<!\w)[rbuft]{1,2})?(?:"""(?:\\[\s\S]|(?!""")[\s\S])*(?:"""|$)|'''(?:\\[\s\S]|(?!''')[\s\S])*(?:'''|$)|"(?:\\(?:\r\n|[\s\S])|[^"\\\n])*"?|'(?:\\(?:\r\n|[\s\S])|[^'\\\n])*'?)/gi;
/** Strings inside a field of an f-string whose ends are beyond doubt. */
const INNER_STRING = /'[^'"{}\\]*'|"[^'"{}\\]*"/g;
const BLOCK =
  /^([ \t\f]*)(?:(?:async[ \t]+)?def[ \t]+([\w\u0080-\uffff]+)|class[ \t]+([\w\u0080-\uffff]+)|if[ \t]+(?:[^\n:]{1,200}[ \t]and[ \t]+)?(__name__)[ \t]*==)/gm;
/** No more than this: `or True` beside it, another name, a name of one's own make the block run on import. */
const PROGRAM =
  /^[ \t\f]*if[ \t]+(?:[\w.]+[ \t]*(?:[!=]=[ \t]*(?:"[^"\n]*"|'[^'\n]*')[ \t]*)?[ \t]and[ \t]+){0,4}__name__[ \t]*==[ \t]*(?:"__main__"|'__main__')[ \t]*:/;
const OWN_NAME =
  /^[ \t\f]*__name__[ \t]*=(?!=)[^,\n]*$|;[ \t]*__name__[ \t]*=(?!=)|(?<![\w.])__name__\s*:=|\b(?:as|for|def|class)\s+__name__\b/m;
/** Classes that a loader of models makes and calls by itself. */
const MODEL_CODE =
  /\b(?:PreTrained(?:Model|Config|Tokenizer\w*)|PretrainedConfig|GenerationMixin|ProcessorMixin|FeatureExtractionMixin|ImageProcessingMixin|BaseImageProcessor|nn\.Module|LightningModule|keras\.(?:layers|Model|models)|DiffusionPipeline|ModelMixin|register_for_auto_class|trust_remote_code|PythonModel|BaseHandler|TritonPythonModel)\b/;
const TAB = 8;
const MAX_LINE = 1000;
/** Beyond these a text is no module that anybody wrote, and all of it is taken to run on import. */
const MAX_BLOCKS = 2000;
const MAX_NESTING = 16;
/** Of a step of `COST`, for a character or a comparison. */
const STEP = 1 / 16;
/** Brackets that CPython nests at most. */
const MAX_BRACKETS = 200;

/**
 * The same text with comments blanked and strings filled with quotes, every offset kept: a statement may begin with a string, so its place
 * may not become indentation. The expressions in f-strings stay. Null where strings nest in a way that cannot be told (PEP 701): then all
 * of it has to be taken for code.
 */
export function blank(text: string): string | null {
  let certain = true;
  const blanked = text.replace(/\r(?!\n)/g, '\n').replace(TOKEN, (token) => {
    if (token.startsWith('#')) return ' '.repeat(token.length);
    if (!/^[rb]?[ft]/i.test(token)) return filled(token);
    const kept = fieldsOf(token);
    certain &&= kept !== null;
    return kept ?? token;
  });
  return certain ? blanked.replaceAll('\r', ' ') : null;
}

function filled(text: string): string {
  return '"'.repeat(text.length);
}

/** An f-string with nothing but its fields. Null where Python may see another end of a field, or of the string, than is seen here. */
function fieldsOf(token: string): string | null {
  let kept = '';
  let depth = 0;
  let start = 0;
  for (let at = 0; at < token.length; at += 1) {
    const character = token[at] ?? '';
    if (depth === 0 && (character === '{' || character === '}') && token[at + 1] === character) at += 1;
    else if (character === '{') {
      if (depth === 0) {
        kept += filled(token.slice(start, at));
        start = at;
      }
      depth += 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth < 0) return null;
      if (depth > 0) continue;
      const field = token.slice(start, at + 1);
      const code = field.replace(INNER_STRING, filled);
      if (/['"\\#]/.test(field.replace(INNER_STRING, '')) || !isBalanced(code)) return null;
      kept += code.replace(/\s/g, ' ');
      start = at + 1;
    }
  }
  return depth === 0 ? kept + filled(token.slice(start)) : null;
}

/** Brackets of a format specification would be taken for those of the code around it. */
function isBalanced(code: string): boolean {
  let depth = 0;
  for (const character of code) {
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}

/**
 * Tells of an offset whether the code there runs on import, or when a loader of models uses the module. `code` is `text` blanked. `spend` is told
 * of the steps that it takes, and may throw.
 */
export function importTime(
  text: string,
  code: string,
  dangers: readonly number[],
  spend: (units: number) => void,
): (offset: number) => boolean {
  const blocks = MODEL_CODE.test(code) ? [] : readBlocks(text, code, spend);
  const functions = blocks.filter(({ isClass }) => !isClass);
  const nested = functions.reduce((total, { start, end }) => total + end - start, 0);
  if (blocks.length > MAX_BLOCKS || nested > MAX_NESTING * code.length) return () => true;
  spend(COST.letter * (dangers.length + 1) * functions.length * STEP);
  const around = (offset: number): Block[] => functions.filter(({ start, end }) => start <= offset && offset < end);
  const names = new Names(code, blocks, spend);
  const called = names.reach(new Set(dangers.flatMap(around)));
  return (offset) => called || around(offset).length === 0;
}

function readBlocks(text: string, code: string, spend: (units: number) => void): Block[] {
  const lines = readLines(code);
  const named = OWN_NAME.test(code);
  const blocks: Block[] = [];
  for (const match of code.matchAll(BLOCK)) {
    if (blocks.length > MAX_BLOCKS) break;
    if (match[4] !== undefined && (named || !PROGRAM.test(text.slice(match.index, match.index + MAX_LINE)))) continue;
    const colon = findColon(code, match.index);
    if (colon < 0) continue;
    const depth = width(match[1] ?? '');
    const first = firstAfter(lines, colon);
    let after = first;
    while ((lines[after]?.indent ?? 0) > depth) after += 1;
    spend((colon - match.index + after - first) * STEP);
    blocks.push({
      name: match[2] ?? match[3] ?? null,
      isClass: match[3] !== undefined,
      start: colon + 1,
      end: lines[after]?.start ?? code.length,
    });
  }
  return blocks;
}

/** The first of these lines that starts behind an offset. */
function firstAfter(lines: readonly { readonly start: number }[], offset: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle]?.start ?? 0) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function width(space: string): number {
  let columns = 0;
  // A form feed starts the count anew (Python's tokenizer, as its reference says it may).
  for (const character of space) columns = character === '\t' ? columns + TAB - (columns % TAB) : character === ' ' ? columns + 1 : 0;
  return columns;
}

/** Logical lines: those that begin outside brackets and are not empty. */
function readLines(code: string): { readonly start: number; readonly indent: number }[] {
  const lines: { start: number; indent: number }[] = [];
  let depth = 0;
  let start = 0;
  for (const line of code.split('\n')) {
    const space = /^[ \t\f]*/.exec(line)?.[0] ?? '';
    if (depth === 0 && space.length < line.length) lines.push({ start, indent: width(space) });
    for (const character of line)
      if ('([{'.includes(character)) depth += 1;
      else if (')]}'.includes(character)) depth = Math.max(0, depth - 1);
    start += line.length + 1;
  }
  return lines;
}

function findColon(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length; at += 1) {
    const character = code[at] ?? '';
    if (depth > MAX_BRACKETS) return -1;
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    else if (character === ':' && depth <= 0) return at;
    else if (character === '\n' && depth <= 0) return -1;
  }
  return -1;
}
