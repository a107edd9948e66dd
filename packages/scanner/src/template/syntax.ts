import { parse, tokenize } from '@huggingface/jinja';

/** A node of a template's syntax tree: a type and fields that are nodes, lists of nodes, maps of nodes, or plain values. */
export interface TemplateNode {
  readonly type: string;
}

/** The parser takes quadratic time over white space; no template has that much in one place. */
const SPACE_LIMIT = 2000;

function longestSpace(text: string): number {
  let longest = 0;
  let run = 0;
  for (let index = 0; index < text.length; index += 1) {
    run = text.charCodeAt(index) <= 32 ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return longest;
}

/** Parses a template. Never renders it. Gives null where the parser does not know what it sees, or it nests too deep for the parser. */
export function parseTemplate(text: string): TemplateNode | null {
  if (longestSpace(text) > SPACE_LIMIT) return null;
  try {
    return parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    // The parser throws SyntaxError, Error and, for deep nesting, RangeError; all of them mean that it could not read the text.
    if (error instanceof Error) return null;
    throw error;
  }
}

export function isNode(value: unknown): value is TemplateNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** A field of a node that is a node itself. */
export function child(node: TemplateNode, field: string): TemplateNode | null {
  const value = get(node, field);
  return isNode(value) ? value : null;
}

/** A field of a node that is a list of nodes. */
export function children(node: TemplateNode, field: string): TemplateNode[] {
  const value = get(node, field);
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function get(node: TemplateNode, field: string): unknown {
  return new Map<string, unknown>(Object.entries(node)).get(field);
}

/** A node and everything below it, outermost first. Iterative: trees can be deep. */
export function* descend(root: TemplateNode): Generator<TemplateNode> {
  const stack: unknown[] = [root];
  while (stack.length > 0) {
    const next = stack.pop();
    if (Array.isArray(next)) for (let index = next.length - 1; index >= 0; index -= 1) stack.push(next[index]);
    else if (next instanceof Map) for (const [key, value] of next) stack.push(key, value);
    else if (isNode(next)) {
      yield next;
      for (const value of Object.values(next)) if (typeof value === 'object' && value !== null) stack.push(value);
    }
  }
}
