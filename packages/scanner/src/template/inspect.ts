import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import type { RuleId } from '../rules.ts';
import { child, children, descend, get, isNode, parseTemplate, type TemplateNode } from './syntax.ts';

/** The longest published templates have a tenth of this. */
const TEXT_LIMIT = 2 ** 19;
/** The parser looks for the end of each of these blocks from front to back. */
const GENERATIONS = 64;
/** Attributes no chat template has a use for: all that begin with an underscore, and the ways on from there. */
const FORBIDDEN = /^_|^(mro|subclasses|popen|func_globals|gi_frame|gi_code|cr_frame|tb_frame|f_globals|f_builtins|im_func|im_self)$/;
/** Filters whose argument names an attribute. */
const ATTRIBUTE_FILTERS: ReadonlySet<string> = new Set([
  'map',
  'selectattr',
  'rejectattr',
  'groupby',
  'sum',
  'sort',
  'unique',
  'min',
  'max',
]);
/** Bidirectional controls, zero-width characters, tags: text that is there and not seen. */
const HIDDEN = /[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u{e0000}-\u{e007f}]|(?!^)\ufeff/u;
/** Statements that fetch another template; no chat template has any. */
const FETCHES = /\{%[-+]?\s*(?:include|import|from|extends)\b/;
/** For templates that cannot be parsed: an underscore attribute in any notation. */
const LEXICAL = /(?:\.|\[\s*['"]|attr\s*\(\s*['"])\s*__\w+__|\|\s*attr\s*\(/;
/** Functions of Python that no template engine offers; whoever calls them counts on one that does. */
const BUILTINS: ReadonlySet<string> = new Set([
  'getattr',
  'setattr',
  'eval',
  'exec',
  'compile',
  'open',
  'vars',
  'globals',
  'locals',
  'dir',
  'import_module',
]);
const LARGE = 1_000_000;
const FORMAT_FIELD = /\{[^{}.[]{0,256}[.[][^{}]{0,256}\}/;
const PLAIN_WORDS = /^[\p{L}\p{N} .,'!?-]{3,}$/u;
const SENTENCE_WORDS = 4;

/**
 * Judges a chat template by its syntax tree: reaching for the interpreter, loops that would not end, text added depending on what was
 * said, characters that are not seen. It is parsed, never rendered. Where it is not `certain` to be a template, one that cannot be parsed
 * is prose.
 */
export function inspectTemplate(piece: Piece, text: string, what: string, offset: number = 0, certain: boolean = true): void {
  const report = (rule: RuleId, message: string): void => piece.report(rule, `${what} ${message}`, offset);
  if (text.length > TEXT_LIMIT) {
    piece.report('limit-document', `${what} has ${text.length} characters`, offset);
    return;
  }
  const hidden = HIDDEN.exec(text);
  if (hidden !== null && certain) report('template-hidden-text', `holds the invisible character ${quote(hidden[0])}`);
  if (certain && FETCHES.test(text)) report('template-injection', 'includes or imports another template');
  const program = text.split('generation').length > GENERATIONS ? null : parseTemplate(text);
  if (program === null) {
    if (tags(text).some((tag) => LEXICAL.test(tag))) report('template-injection', 'uses a double-underscore attribute or the attr filter');
    if (certain) report('template-unparsed', 'cannot be parsed');
    return;
  }
  new Inspection(report).inspect(program);
}

class Inspection {
  readonly #report: (rule: RuleId, message: string) => void;
  readonly #constants = new Map<string, string | number | null>();

  constructor(report: (rule: RuleId, message: string) => void) {
    this.#report = report;
  }

  inspect(program: TemplateNode): void {
    for (const node of descend(program)) if (node.type === 'Set') this.#remember(node);
    for (const node of descend(program)) {
      if (node.type === 'MemberExpression') this.#member(node);
      else if (node.type === 'FilterExpression' || node.type === 'FilterStatement') this.#filter(node);
      else if (node.type === 'CallExpression') this.#call(node);
      else if (node.type === 'BinaryExpression') this.#product(node);
      else if (node.type === 'Identifier') this.#identifier(node);
      else if (node.type === 'If') this.#condition(node);
      else if (node.type === 'Ternary') this.#choice(node);
    }
    this.#loops(program, 1);
  }

  /** A variable that is set once to a constant stands for it; one that is set twice for nothing. */
  #remember(node: TemplateNode): void {
    const target = child(node, 'assignee');
    const value = child(node, 'value');
    if (target?.type !== 'Identifier') return;
    const name = String(get(target, 'value'));
    this.#constants.set(name, this.#constants.has(name) || value === null ? null : this.#fold(value));
  }

  /** The constant an expression comes to, or null. */
  #fold(node: TemplateNode, depth: number = 0): string | number | null {
    if (depth > 64) return null;
    if (node.type === 'StringLiteral' || node.type === 'IntegerLiteral' || node.type === 'FloatLiteral') {
      const value = get(node, 'value');
      return typeof value === 'string' || typeof value === 'number' ? value : null;
    }
    if (node.type === 'Identifier') return this.#constants.get(String(get(node, 'value'))) ?? null;
    const left = child(node, 'left');
    const right = child(node, 'right');
    if (node.type !== 'BinaryExpression' || left === null || right === null) return null;
    const one = this.#fold(left, depth + 1);
    const other = this.#fold(right, depth + 1);
    if (one === null || other === null) return null;
    const operator = operatorOf(node);
    if (typeof one === 'number' && typeof other === 'number') {
      if (operator === '*') return one * other;
      if (operator === '**') return one ** other;
      if (operator === '+') return one + other;
      return null;
    }
    return operator === '~' || operator === '+' ? `${one}${other}` : null;
  }

  #identifier(node: TemplateNode): void {
    const name = String(get(node, 'value'));
    if (name.startsWith('__')) this.#report('template-injection', `uses ${quote(name)}`);
  }

  #member(node: TemplateNode): void {
    const property = child(node, 'property');
    if (property === null) return;
    const name = get(node, 'computed') === true ? this.#fold(property) : get(property, 'value');
    if (typeof name === 'string' && FORBIDDEN.test(name)) this.#report('template-injection', `reads the attribute ${quote(name)}`);
    else if (get(node, 'computed') === true && typeof name !== 'string' && assembles(property))
      this.#report('template-injection', 'reads an attribute whose name it assembles');
  }

  #filter(node: TemplateNode): void {
    const filter = child(node, 'filter');
    if (filter === null) return;
    const name = filter.type === 'CallExpression' ? child(filter, 'callee') : filter;
    const called = name === null ? '' : String(get(name, 'value'));
    const args = filter.type === 'CallExpression' ? children(filter, 'args') : [];
    if (called === 'attr') {
      const attribute = args[0] === undefined ? null : this.#fold(args[0]);
      if (typeof attribute !== 'string' || FORBIDDEN.test(attribute) || args[0]?.type !== 'StringLiteral')
        this.#report(
          'template-injection',
          `reads an attribute by the attr filter${typeof attribute === 'string' ? ` (${quote(attribute)})` : ''}`,
        );
    } else if (ATTRIBUTE_FILTERS.has(called)) for (const argument of args) this.#attributeArgument(argument);
    for (const argument of args) this.#size(argument, `the filter ${quote(called)}`);
  }

  #attributeArgument(argument: TemplateNode): void {
    const value = argument.type === 'KeywordArgumentExpression' ? child(argument, 'value') : argument;
    const name = value === null ? null : this.#fold(value);
    if (typeof name === 'string' && name.split('.').some((part) => FORBIDDEN.test(part)))
      this.#report('template-injection', `reads the attribute ${quote(name)} by a filter`);
  }

  #call(node: TemplateNode): void {
    const callee = child(node, 'callee');
    if (callee?.type !== 'MemberExpression') {
      const name = callee === null ? '' : String(get(callee, 'value'));
      if (BUILTINS.has(name)) this.#report('template-injection', `calls ${quote(name)}`);
      if (name === 'range') for (const argument of children(node, 'args')) this.#size(argument, 'range');
      return;
    }
    const property = child(callee, 'property');
    const method = property === null ? null : get(property, 'value');
    const object = child(callee, 'object');
    const format = object === null ? null : this.#fold(object);
    if ((method === 'format' || method === 'format_map') && typeof format === 'string' && FORMAT_FIELD.test(format))
      this.#report('template-injection', 'reads an attribute by a format string');
    for (const argument of children(node, 'args')) this.#size(argument, `the method ${quote(String(method))}`);
  }

  #size(argument: TemplateNode, what: string): void {
    const size = this.#fold(argument);
    if (typeof size === 'number' && size > LARGE) this.#report('template-bomb', `gives ${size} to ${what}`);
  }

  #product(node: TemplateNode): void {
    const operator = operatorOf(node);
    if (operator !== '*' && operator !== '**') return;
    for (const field of ['left', 'right']) {
      const side = child(node, field);
      const size = side === null ? null : this.#fold(side);
      if (typeof size === 'number' && size > LARGE) this.#report('template-bomb', `multiplies by ${size}`);
    }
  }

  /** Loops over constant ranges, multiplied where they nest. */
  #loops(node: TemplateNode, factor: number, depth: number = 0): void {
    if (depth > 200) return;
    for (const inner of topLoops(node)) {
      const times = factor * this.#length(child(inner, 'iterable'));
      if (times > LARGE) {
        this.#report('template-bomb', `loops ${times} times`);
        return;
      }
      for (const part of children(inner, 'body')) this.#loops(part, times, depth + 1);
    }
  }

  #length(iterable: TemplateNode | null): number {
    if (iterable?.type !== 'CallExpression') return 1;
    const callee = child(iterable, 'callee');
    if (callee === null || get(callee, 'value') !== 'range') return 1;
    const bounds = children(iterable, 'args').map((argument) => this.#fold(argument));
    const [first, second] = bounds;
    if (typeof first !== 'number') return 1;
    return Math.max(1, typeof second === 'number' ? second - first : first);
  }

  /** Text added on the condition that something was said, or from a day on. */
  #condition(node: TemplateNode): void {
    const test = child(node, 'test');
    if (test === null || !dependsOnText(test)) return;
    const said = children(node, 'body').flatMap(writtenText).join(' ');
    if (isStatement(said)) this.#report('template-behaviour', `adds text on the condition of what was said: "${quote(said.trim(), 60)}"`);
  }

  #choice(node: TemplateNode): void {
    const test = child(node, 'condition') ?? child(node, 'test');
    if (test === null || !dependsOnText(test)) return;
    const value = child(node, 'trueExpr') ?? child(node, 'lhs');
    const said = value === null ? null : this.#fold(value);
    if (typeof said === 'string' && isStatement(said)) this.#report('template-behaviour', 'adds text on the condition of what was said');
  }
}

/** The operator of a binary expression; the parser keeps it as a token. */
function operatorOf(node: TemplateNode): string {
  const operator = get(node, 'operator');
  if (typeof operator === 'string') return operator;
  return isNode(operator) ? String(get(operator, 'value')) : '';
}

/** True for a concatenation or a formatted string: a name that is put together. */
function assembles(node: TemplateNode): boolean {
  if (node.type === 'FilterExpression') {
    const filter = child(node, 'filter');
    const name = filter?.type === 'CallExpression' ? child(filter, 'callee') : filter;
    return name !== null && name !== undefined && ['format', 'join', 'replace', 'reverse'].includes(String(get(name, 'value')));
  }
  if (node.type !== 'BinaryExpression') return false;
  const texts = [child(node, 'left'), child(node, 'right')].some(
    (side) => side?.type === 'StringLiteral' && String(get(side, 'value')).includes('_'),
  );
  return operatorOf(node) === '~' || operatorOf(node) === '%' ? texts : operatorOf(node) === '+' && texts;
}

/** Loops below a node that are not inside another of them. */
function topLoops(root: TemplateNode): TemplateNode[] {
  const found: TemplateNode[] = [];
  const stack: unknown[] = [root];
  while (stack.length > 0) {
    const next = stack.pop();
    if (Array.isArray(next)) stack.push(...next);
    else if (isNode(next)) {
      if (next.type === 'For') found.push(next);
      else for (const value of Object.values(next)) if (typeof value === 'object' && value !== null) stack.push(value);
    }
  }
  return found;
}

/** A test that compares plain words with a message's content, or anything with the date. */
function dependsOnText(test: TemplateNode): boolean {
  let content = false;
  let words = false;
  let date = false;
  let literal = false;
  for (const node of descend(test)) {
    const value = get(node, 'value');
    if ((node.type === 'Identifier' || node.type === 'StringLiteral') && value === 'content') content = true;
    else if (node.type === 'Identifier' && (value === 'strftime_now' || value === 'now' || value === 'date_string')) date = true;
    else if (node.type === 'StringLiteral' && typeof value === 'string') {
      literal = true;
      if (PLAIN_WORDS.test(value) && /\p{L}{3}/u.test(value)) words = true;
    }
  }
  return (content && words) || (date && literal && !words && [...descend(test)].some((node) => node.type === 'BinaryExpression'));
}

/** What a part of a template writes as it stands: text between the tags, and strings that are put out. */
function writtenText(node: TemplateNode): string[] {
  if (node.type === 'StringLiteral') return [String(get(node, 'value'))];
  if (node.type === 'Set' || node.type === 'Macro') return [];
  const parts: string[] = [];
  for (const inner of descend(node)) if (inner.type === 'StringLiteral') parts.push(String(get(inner, 'value')));
  return parts;
}

function isStatement(text: string): boolean {
  return /https?:\/\//.test(text) || (text.match(/\p{L}{2,}/gu) ?? []).length >= SENTENCE_WORDS;
}

/** What stands between the brackets of a template that could not be parsed. */
function tags(text: string): string[] {
  const found: string[] = [];
  for (let start = nextTag(text, 0); start >= 0; ) {
    const end = text.indexOf('}', start);
    if (end < 0) return [...found, text.slice(start)];
    found.push(text.slice(start, end));
    start = nextTag(text, end);
  }
  return found;
}

function nextTag(text: string, from: number): number {
  const tag = /\{[{%]/g;
  tag.lastIndex = from;
  return tag.exec(text)?.index ?? -1;
}
