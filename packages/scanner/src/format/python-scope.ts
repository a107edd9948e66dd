/** What runs when a module is imported, told from its text without compiling it. */

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
/** A function taken out of the module by its name. */
const BY_NAME = /\b(?:globals|locals|vars)\s*\(\s*\)\s*(?:\[[^\]\n]{0,200}\](?!\s*=(?!=))|\.\s*(?:get|pop|values)\b)/;
/** What a definition says without running anything: names of parameters, and of base classes. */
const PARAMETERS = /\bdef[ \t]+[\w\u0080-\uffff]+[ \t]*\([\s*,/\w\u0080-\uffff]*\)/g;
const BASES = /\bclass[ \t]+([\w\u0080-\uffff]+)[ \t]*\(([\s,.\w\u0080-\uffff]*)\)/g;
/** Methods that run without being called by name. */
const IMPLICIT = /^__(?:init_subclass|set_name|prepare|class_getitem|del|getattr|dir|instancecheck|subclasscheck)__$/;
/** Classes that a loader of models makes and calls by itself. */
const MODEL_CODE =
  /\b(?:PreTrained(?:Model|Config|Tokenizer\w*)|PretrainedConfig|GenerationMixin|ProcessorMixin|FeatureExtractionMixin|ImageProcessingMixin|BaseImageProcessor|nn\.Module|LightningModule|keras\.(?:layers|Model|models)|DiffusionPipeline|ModelMixin|register_for_auto_class|trust_remote_code|PythonModel|BaseHandler|TritonPythonModel)\b/;
const TAB = 8;
const MAX_LINE = 1000;
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

/** Tells of an offset whether the code there runs on import, or when a loader of models uses the module. `code` is `text` blanked. */
export function importTime(text: string, code: string, dangers: readonly number[]): (offset: number) => boolean {
  const blocks = MODEL_CODE.test(code) ? [] : readBlocks(text, code);
  const functions = blocks.filter(({ isClass }) => !isClass);
  const nested = functions.reduce((total, { start, end }) => total + end - start, 0);
  if (blocks.length > MAX_BLOCKS || nested > MAX_NESTING * code.length) return () => true;
  const around = (offset: number): Block[] => functions.filter(({ start, end }) => start <= offset && offset < end);
  // Functions that do harm, and whatever calls them, until no more are found.
  const harmful = new Set<Block>(dangers.flatMap(around));
  const outside = outsideOf(code, functions).replace(PARAMETERS, ' ').replace(BASES, ' ');
  const heirs = [...code.matchAll(BASES)].map(([, heir = '', bases = '']) => ({ heir, bases: bases.split(/[\s,.]+/) }));
  for (let size = -1, passes = 0; size !== harmful.size; passes += 1) {
    size = harmful.size;
    if (passes > MAX_PASSES) return () => true;
    const names = callsOf(harmful, blocks, outside, heirs);
    if (names === null) break;
    for (const each of functions)
      if (!harmful.has(each) && each.name !== null && names.test(code.slice(each.start, each.end))) harmful.add(each);
  }
  const called =
    (harmful.size > 0 && BY_NAME.test(outside)) ||
    [...harmful].some(({ name }) => name !== null && IMPLICIT.test(name)) ||
    entriesOf(harmful, blocks, outside, heirs)?.test(outside) === true;
  return (offset) => called || around(offset).length === 0;
}

/** A pattern of calls of these functions, of their methods by the name of the class too; null where there is none. */
function callsOf(functions: ReadonlySet<Block>, blocks: readonly Block[], outside: string, heirs: readonly Heir[]): RegExp | null {
  const plain: string[] = [];
  const methods: string[] = [];
  const classes: string[] = [];
  for (const each of functions) {
    const own = classesOf(each, blocks);
    classes.push(...own);
    if (each.name !== null) (own.length > 0 ? methods : plain).push(each.name);
  }
  if (plain.length + methods.length + classes.length === 0) return null;
  const calls = mentions(plain, withHeirs(classes, heirs), outside);
  // A method is called by an object.
  return methods.length === 0 ? calls : new RegExp(`${calls.source}|\\.\\s*(?:${methods.join('|')})\\b`);
}

interface Heir {
  readonly heir: string;
  readonly bases: readonly string[];
}

/** These classes, and those that are derived from them in this text. */
function withHeirs(classes: readonly string[], heirs: readonly Heir[]): string[] {
  const all = new Set(classes);
  for (let size = -1; size !== all.size && all.size < MAX_BLOCKS; ) {
    size = all.size;
    for (const { heir, bases } of heirs) if (bases.some((base) => all.has(base))) all.add(heir);
  }
  return [...all];
}

/** A pattern of what calls one of these from outside all functions: a method is reached through its class. */
function entriesOf(functions: ReadonlySet<Block>, blocks: readonly Block[], outside: string, heirs: readonly Heir[]): RegExp | null {
  const names = [...functions].flatMap((each) => (each.name === null || classesOf(each, blocks).length > 0 ? [] : [each.name]));
  const classes = [...functions].flatMap((method) => (method.name === null ? [] : classesOf(method, blocks)));
  return names.length + classes.length === 0 ? null : mentions(names, withHeirs(classes, heirs), outside);
}

function classesOf({ start }: Block, blocks: readonly Block[]): string[] {
  return blocks.flatMap((each) => (each.isClass && each.name !== null && each.start <= start && start < each.end ? [each.name] : []));
}

function mentions(names: readonly string[], classes: readonly string[], outside: string): RegExp {
  const made = aliasesOf(classes, outside).join('|');
  const any = aliasesOf([...names, ...classes], outside).join('|');
  const through = classes.length === 0 ? '' : `|\\b(?:${made})\\s*\\.`;
  return new RegExp(
    [
      `(?<![\\w]|def[ \\t]|class[ \\t])(?:${any})\\s*(?:\\(|\\.\\s*__)`,
      `@\\s*(?:${any})\\b`,
      `[(,=]\\s*(?:${any})\\s*[,)]|(?<![\\w\\])])\\[\\s*(?:${any})\\s*[\\],]`,
      // A table or a function that is used where it is made; a loop over a tuple.
      `\\{[^{}\\n]{0,200}\\b(?:${any})\\b[^{}\\n]{0,200}\\}\\s*[[.]`,
      `\\blambda\\b[^:\\n]{0,200}:\\s*(?:${any})\\s*\\)\\s*\\(`,
      `\\bin\\s+(?:${any})\\b${through}`,
    ].join('|'),
  );
}

/** These names, and those that they are assigned to outside of functions. */
function aliasesOf(names: readonly string[], outside: string): string[] {
  const all = new Set(names);
  for (let size = 0, passes = 0; size !== all.size && passes < MAX_PASSES && all.size > 0 && all.size < MAX_BLOCKS; passes += 1) {
    size = all.size;
    const assigned = new RegExp(
      `(?<![\\w.\\u0080-\\uffff])([\\w\\u0080-\\uffff]+)[ \\t]*:?=[ \\t]*\\(?[ \\t]*(?:${[...all].join('|')})[ \\t]*(?=[;)\\n]|$)`,
      'g',
    );
    for (const [, alias = ''] of outside.matchAll(assigned)) all.add(alias);
  }
  return [...all];
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

function readBlocks(text: string, code: string): Block[] {
  const lines = readLines(code);
  const named = OWN_NAME.test(code);
  const blocks: Block[] = [];
  for (const match of code.matchAll(BLOCK)) {
    if (blocks.length > MAX_BLOCKS) break;
    if (match[4] !== undefined && (named || !PROGRAM.test(text.slice(match.index, match.index + MAX_LINE)))) continue;
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
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    else if (character === ':' && depth <= 0) return at;
    else if (character === '\n' && depth <= 0) return -1;
  }
  return -1;
}
