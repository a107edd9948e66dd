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
/** A keyword may follow a number without a space: `0or x`. */
const TOKENS = /[\p{L}_][\p{L}\p{N}_]*|"+|\d(?:[\w.]*?(?=(?:and|else|for|if|in|is|not|or)\b)|[\w.]*)|[^\s"]/gu;
const WORD = /^[\p{L}_]/u;
/** What Python has in strings and comments alone; a field of an f-string may name a conversion. */
const FOREIGN = /[`?$]|!(?!=|[rsa][ \t]*[:}])/;
/** Characters of which a statement tells that it is one. */
const START = 4096;
/** What ends a value: a name may not follow it. */
const ENDS = /^[\p{L}_"\d)\]]/u;

/** Letters as Python's parser reads them in names: a wide or a mathematical `s` is an `s` (NFKC). Nothing else is changed, quotes least of all. */
export function normalized(text: string): string {
  return text.replace(/[^\0-\x7f]+/g, (run) =>
    run.normalize('NFKC') === run
      ? run
      : run.replace(/./gsu, (character) => {
          const plain = character.normalize('NFKC');
          return /^\w+$/.test(plain) ? plain : character;
        }),
  );
}

/** Whether a text begins as a module does: a page about code begins otherwise or has fences. Null where it holds comments alone so far. */
export function beginsPython(text: string): boolean | null {
  let end = 0;
  for (COMMENT.lastIndex = 0; end < text.length && COMMENT.test(text); end = COMMENT.lastIndex);
  if (end >= text.length) return null;
  return FIRST.test(normalized(text.slice(end, end + START))) && !FENCE.test(text.replace(DOCSTRING, ''));
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
  let joined = false;
  for (const line of code.split('\n')) {
    const tokens = line.match(TOKENS);
    if (tokens === null) continue;
    if (FOREIGN.test(line)) return false;
    const indented = line.length - line.trimStart().length;
    // A line that goes on has the indentation of the one that it began with.
    if (depth === 0 && !joined) {
      if (indented > indentation && !opened) return false;
      indentation = indented;
    }
    for (const [index, token] of tokens.entries()) {
      const before = tokens[index - 1] ?? '';
      if (WORD.test(token) && !KEYWORDS.has(token) && ENDS.test(before) && !KEYWORDS.has(before)) return false;
      if ('([{'.includes(token)) depth += 1;
      else if (')]}'.includes(token)) depth -= 1;
      if (depth < 0) return false;
    }
    const last = tokens[tokens.length - 1];
    opened = last === ':';
    joined = last === '\\';
  }
  return true;
}
