import type { Piece } from '../piece.ts';

/** Constructs that no modelling code needs, by what they do. Matched on source with comments and docstrings left in. */
const DANGEROUS: readonly (readonly [string, RegExp])[] = [
  ['runs commands', /\b(?:os\.(?:system|popen|exec[lv]p?e?|spawn[lv]p?e?|posix_spawn)|pty\.spawn|commands\.getoutput)\s*\(/],
  ['runs commands', /\bsubprocess\.(?:Popen|run|call|check_call|check_output|getoutput|getstatusoutput)\s*\(/],
  ['runs code', /(?:^|[^\w.])(?:exec|eval|__import__)\s*\(/m],
  ['runs code', /\bmarshal\.loads?\s*\(|\b(?:c?[pP]ickle|dill|cloudpickle)\.loads?\s*\(/],
  [
    'uses the network',
    /\bsocket\.socket\s*\(|\burllib\.request\.url(?:open|retrieve)\s*\(|\brequests\.(?:get|post)\s*\(|\bhttp\.client\.HTTPS?Connection\s*\(/,
  ],
  ['loads native code', /\bctypes\.(?:CDLL|cdll|windll|PyDLL|pythonapi)\b/],
];
const TORCHSCRIPT = /\b(?:torch|aten)(?:\.|::)(?:from_file|save)\b/;
const STATEMENT =
  /(?:^|[;:])[ \t\f]*(?:from\s+[\w.]+\s+import\s|import\s+[A-Za-z_][\w.]*\s*(?:$|,|as\s|#|;)|def\s+\w+\s*\(.*|class\s+\w+\s*[(:]|async\s+def\s)/m;
/** What stands first in a module, once comments are past: an import, a definition, a docstring, an assignment, a literal. */
const FIRST =
  /^[ \t\f]*(?:from\s|import\s|def\s|class\s|async\s|@\w|[rub]{0,2}["']|if\s|try:|[A-Za-z_][\w.]*\s*(?:=|\()|[([{\d]|(?:pass|assert|del|with|for|while|not|raise)\b)/;
/** The last of a window may be cut. */
const DOCSTRING = /("""|''')[\s\S]*?(?:\1|$)/g;
/** A fence of a page; what a backslash joins to the line before is inside a string. */
const FENCE = /^(?<!\\\r?\n)```/m;
const COMMENT = /[ \t\r\f]*(?:#[^\n]*)?(?:\n|$)/y;

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

/** Code that a loader imports when told to trust it. Only what does harm by itself is reported; the file is read, never compiled. */
export function inspectPython(piece: Piece, text: string, what: string = 'Python code'): void {
  for (const [effect, pattern] of DANGEROUS) {
    const match = pattern.exec(text);
    if (match !== null) piece.report('python-dangerous', `${what} ${effect}: ${match[0].trim().replace(/\s+/g, ' ')}`, match.index);
  }
  if (piece.surrounding === 'torch' && TORCHSCRIPT.test(text))
    piece.report('torchscript-operator', 'TorchScript code reads or writes files', text.search(TORCHSCRIPT));
}
