import type { JsonPath } from './path.ts';
import { BRACE_CLOSE, BRACE_OPEN, BRACKET_CLOSE, BRACKET_OPEN, COLON, COMMA, closingQuote, decodeString, QUOTE } from './text.ts';

/**
 * The path of the value that `offset` is in or at. For error messages only: it reads the text from the start, and copes with text
 * that is not valid JSON by giving the path as far as it can be made out.
 */
export function locate(text: string, offset: number): JsonPath {
  const path: (string | number)[] = [];
  const isObject: boolean[] = [];
  let name = '';
  for (let at = 0; at < offset; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const close = closingQuote(text, at);
      if (close >= offset) break;
      name = readable(text, at, close);
      at = close;
    } else if (code === COLON && isObject.at(-1) === true) {
      path[path.length - 1] = name;
    } else if (code === BRACE_OPEN || code === BRACKET_OPEN) {
      isObject.push(code === BRACE_OPEN);
      path.push(code === BRACE_OPEN ? '' : 0);
    } else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) {
      isObject.pop();
      path.pop();
    } else if (code === COMMA && path.length > 0) {
      const last = path[path.length - 1];
      path[path.length - 1] = isObject.at(-1) === true ? '' : (typeof last === 'number' ? last : 0) + 1;
    }
  }
  // Between `{` or `,` and the next name there is no name yet: the object itself is meant.
  if (isObject.at(-1) === true && path.at(-1) === '') path.pop();
  return path;
}

function readable(text: string, open: number, close: number): string {
  try {
    return decodeString(text, open, close);
  } catch {
    return text.slice(open + 1, close); // malformed escape: shown as written
  }
}
