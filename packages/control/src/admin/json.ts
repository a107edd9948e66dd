import { Fault } from '@sallyport/core';

// The body of an admin request is a client's data. JSON.parse decides the grammar; what it lets pass silently is refused here: a name
// given twice (two programs would then read two different requests), names that mean something to JavaScript, nesting without end and
// half characters.

const MAX_DEPTH = 16;
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Throws `Fault` (`invalid_request`). */
export function parseStrictJson(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('The body is not UTF-8.');
  }
  // Before JSON.parse, so that depth is bounded whatever the parser does with it.
  checkDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the body.
    throw malformed('The body is not well-formed JSON.');
  }
  checkNames(text);
  return value;
}

function checkDepth(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') at = stringEnd(text, at);
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) throw malformed(`The body is nested more than ${MAX_DEPTH} levels deep.`);
    } else if (char === '}' || char === ']') depth--;
  }
}

/** `text` is well-formed JSON. A string is a member's name exactly where a colon follows it. */
function checkNames(text: string): void {
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(null);
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const end = stringEnd(text, at);
      const content: unknown = JSON.parse(text.slice(at, end + 1));
      at = end;
      if (typeof content !== 'string' || !content.isWellFormed()) throw malformed('The body holds half of a surrogate pair.');
      const names = open.at(-1);
      if (names instanceof Set && isName(text, end + 1)) addName(names, content);
    }
  }
}

function addName(names: Set<string>, name: string): void {
  if (FORBIDDEN_NAMES.has(name)) throw malformed(`The body must not have a member named ${name}.`);
  if (names.has(name)) throw new Fault('invalid_request', 'The body names a member twice.', { param: name.slice(0, 100) });
  names.add(name);
}

/** Index of the quote that closes the string opened at `at`, or the end of the text. */
function stringEnd(text: string, at: number): number {
  for (let index = at + 1; index < text.length; index++) {
    const char = text.charAt(index);
    if (char === '\\') index++;
    else if (char === '"') return index;
  }
  return text.length;
}

function isName(text: string, from: number): boolean {
  for (let at = from; at < text.length; at++) {
    const char = text.charAt(at);
    if (char !== ' ' && char !== '\t' && char !== '\n' && char !== '\r') return char === ':';
  }
  return false;
}

function malformed(message: string): Fault {
  return new Fault('invalid_request', message);
}
