/** Telling Python from other text: by how it begins, by a statement, or by all of it. */

const STATEMENT =
  /(?:^|[;:])[ \t\f]*(?:from\s+[\w.]+\s+import[\s\\(*]|import\s+[A-Za-z_][\w.]*\s*(?:$|,|as\s|#|;|\\)|def\s+\w+\s*\(.*|class\s+\w+\s*[(:]|async\s+def\s)/m;
/** What stands first in a module, once comments are past: an import, a definition, a docstring, an assignment, a literal. */
const FIRST =
  /^[ \t\f]*(?:from\s|import\s|def\s|class\s|async\s|@\w|[rubft]{0,2}["']|lambda\b|not\b|return\b|if\s|try:|[A-Za-z_][\w.]*\s*(?:=|\()|[([{\d]|(?:pass|assert|del|with|for|while|not|raise)\b)/;
/** The last of a window may be cut. */
const DOCSTRING = /("""|''')[\s\S]*?(?:\1|$)/g;
/** A fence of a page; what a backslash joins to the line before is inside a string. */
const FENCE = /^(?<!\\\r?\n)```/m;
const COMMENT = /[ \t\r\f]*(?:#[^\n]*)?(?:\n|$)/y;
const KEYWORDS: ReadonlySet<string> = new Set(
  'False None True and as assert async await break case class continue def del elif else except exec finally for from global if import in is lambda match nonlocal not or pass print raise return try type while with yield'.split(
    ' ',
  ),
);
const TOKENS = /[\p{L}_][\p{L}\p{N}_]*|"+|\d[\w.]*|[^\s"]/gu;
const WORD = /^[\p{L}_]/u;
/** What Python has in strings and comments alone. */
const FOREIGN = /[`?$]|!(?!=)/;
/** What ends a value: a name may not follow it. */
const ENDS = /^[\p{L}_"\d)\]]/u;

/** Whether a text begins as a module does: a page about code begins otherwise or has fences. Null where it holds comments alone so far. */
export function beginsPython(text: string): boolean | null {
  let end = 0;
  for (COMMENT.lastIndex = 0; end < text.length && COMMENT.test(text); end = COMMENT.lastIndex);
  if (end >= text.length) return null;
  return FIRST.test(text.slice(end)) && !FENCE.test(text.replace(DOCSTRING, ''));
}

/** Whether there is a statement that modules have and other texts do not. */
export function hasStatement(text: string): boolean {
  return STATEMENT.test(text);
}

/**
 * Whether lines whose strings and comments are blanked could be Python: no two names side by side, brackets that close, no line that is indented
 * for no reason. Sentences are none of this for long.
 */
export function readsAsCode(code: string): boolean {
  let depth = 0;
  let indentation = 0;
  let opened = false;
  for (const line of code.split('\n')) {
    const tokens = line.match(TOKENS);
    if (tokens === null) continue;
    if (FOREIGN.test(line)) return false;
    const indented = line.length - line.trimStart().length;
    if (depth === 0 && indented > indentation && !opened && indentation >= 0) return false;
    if (depth === 0) indentation = indented;
    for (const [index, token] of tokens.entries()) {
      const before = tokens[index - 1] ?? '';
      if (WORD.test(token) && !KEYWORDS.has(token) && ENDS.test(before) && !KEYWORDS.has(before)) return false;
      if ('([{'.includes(token)) depth += 1;
      else if (')]}'.includes(token)) depth -= 1;
      if (depth < 0) return false;
    }
    const last = tokens[tokens.length - 1];
    opened = last === ':' || last === '\\';
  }
  return true;
}
