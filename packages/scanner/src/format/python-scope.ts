/** What runs when a module is imported, told from its text without compiling it. */

const TOKEN =
  /#[^\n]*|[rbuft]{0,2}(?:"""(?:\\[\s\S]|(?!""")[\s\S])*(?:"""|$)|'''(?:\\[\s\S]|(?!''')[\s\S])*(?:'''|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?)/gi;
const BLOCK = /^([ \t\f]*)(?:(?:async[ \t]+)?def[ \t]+(\w+)|class[ \t]+(\w+)|if[ \t]+(__name__)[ \t]*==)/gm;
/** Methods that run without being called by name. */
const IMPLICIT = /^__(?:init_subclass|set_name|prepare|class_getitem|del|getattr|dir|instancecheck|subclasscheck)__$/;
/** Classes that a loader of models makes and calls by itself. */
const MODEL_CODE =
  /\b(?:PreTrained(?:Model|Config|Tokenizer\w*)|PretrainedConfig|GenerationMixin|ProcessorMixin|FeatureExtractionMixin|ImageProcessingMixin|BaseImageProcessor|nn\.Module|LightningModule|keras\.(?:layers|Model|models)|DiffusionPipeline|ModelMixin|register_for_auto_class|trust_remote_code|PythonModel|BaseHandler|TritonPythonModel)\b/;
const TAB = 8;
/** Beyond these a text is no module that anybody wrote, and all of it is taken to run on import. */
const MAX_BLOCKS = 2000;
const MAX_PASSES = 20;
const MAX_NESTING = 16;

interface Block {
  /** Of a function or a class; null for what runs only when the file is started as a program. */
  readonly name: string | null;
  readonly isClass: boolean;
  /** Where the body begins, behind the colon: defaults and annotations are evaluated by the definition. */
  readonly start: number;
  readonly end: number;
}

/**
 * The same text with strings and comments blanked, every offset kept; f-strings stay, since they hold code. Null where strings nest in a
 * way that cannot be told (PEP 701): then all of it has to be taken for code.
 */
export function blank(text: string): string | null {
  let certain = true;
  const blanked = text.replaceAll('\r', '\n').replace(TOKEN, (token) => {
    if (/^[rb]?[ft]/i.test(token)) {
      const braces = token.replace(/\{\{|\}\}/g, '');
      certain &&= braces.split('{').length === braces.split('}').length;
      return token;
    }
    return token.replace(/[^\n]/g, ' ');
  });
  return certain ? blanked : null;
}

/** Tells of an offset whether the code there runs on import, or when a loader of models uses the module. `code` is blanked. */
export function importTime(code: string, dangers: readonly number[]): (offset: number) => boolean {
  const blocks = MODEL_CODE.test(code) ? [] : readBlocks(code);
  const functions = blocks.filter(({ isClass }) => !isClass);
  const nested = functions.reduce((total, { start, end }) => total + end - start, 0);
  if (blocks.length > MAX_BLOCKS || nested > MAX_NESTING * code.length) return () => true;
  const around = (offset: number): Block[] => functions.filter(({ start, end }) => start <= offset && offset < end);
  // Functions that do harm, and whatever calls them, until no more are found.
  const harmful = new Set<Block>(dangers.flatMap(around));
  const outside = outsideOf(code, functions);
  for (let size = -1, passes = 0; size !== harmful.size; passes += 1) {
    size = harmful.size;
    if (passes > MAX_PASSES) return () => true;
    const names = callsOf(harmful, blocks);
    if (names === null) break;
    for (const each of functions)
      if (!harmful.has(each) && each.name !== null && names.test(code.slice(each.start, each.end))) harmful.add(each);
  }
  const called = [...harmful].some((block) => block.name !== null && (IMPLICIT.test(block.name) || entryOf(block, blocks).test(outside)));
  return (offset) => called || around(offset).length === 0;
}

/** A pattern of calls of these functions, of their methods by the name of the class too; null where there is none. */
function callsOf(functions: ReadonlySet<Block>, blocks: readonly Block[]): RegExp | null {
  const names = [...functions].flatMap(({ name }) => (name === null ? [] : [name]));
  const classes = [...functions].flatMap((method) => classesOf(method, blocks));
  return names.length + classes.length === 0 ? null : mentions(names, classes);
}

/** A pattern of what calls a function from outside all functions: a method is reached through its class. */
function entryOf(block: Block, blocks: readonly Block[]): RegExp {
  const classes = classesOf(block, blocks);
  return classes.length > 0 ? mentions([], classes) : mentions([block.name ?? ''], []);
}

function classesOf({ start }: Block, blocks: readonly Block[]): string[] {
  return blocks.flatMap((each) => (each.isClass && each.name !== null && each.start <= start && start < each.end ? [each.name] : []));
}

function mentions(names: readonly string[], classes: readonly string[]): RegExp {
  const any = [...new Set([...names, ...classes])].join('|');
  const through = classes.length === 0 ? '' : `|\\b(?:${[...new Set(classes)].join('|')})\\s*\\.`;
  return new RegExp(`(?<![\\w]|def[ \\t]|class[ \\t])(?:${any})\\s*\\(|@\\s*(?:${any})\\b|[(,=]\\s*(?:${any})\\s*[,)]${through}`);
}

function outsideOf(code: string, functions: readonly Block[]): string {
  let outside = '';
  let at = 0;
  for (const { start, end } of functions) {
    if (start > at) outside += code.slice(at, start);
    at = Math.max(at, end);
  }
  return outside + code.slice(at);
}

function readBlocks(code: string): Block[] {
  const lines = readLines(code);
  const blocks: Block[] = [];
  for (const match of code.matchAll(BLOCK)) {
    if (blocks.length > MAX_BLOCKS) break;
    const colon = findColon(code, match.index);
    if (colon < 0) continue;
    const first = lines.findIndex(({ start }) => start > colon);
    const depth = width(match[1] ?? '');
    const after = first < 0 ? undefined : lines.slice(first).find(({ indent }) => indent <= depth);
    blocks.push({
      name: match[2] ?? match[3] ?? null,
      isClass: match[3] !== undefined,
      start: colon + 1,
      end: after?.start ?? code.length,
    });
  }
  return blocks;
}

function width(space: string): number {
  let columns = 0;
  for (const character of space) columns += character === '\t' ? TAB - (columns % TAB) : character === ' ' ? 1 : 0;
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
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    else if (character === ':' && depth <= 0) return at;
    else if (character === '\n' && depth <= 0) return -1;
  }
  return -1;
}
