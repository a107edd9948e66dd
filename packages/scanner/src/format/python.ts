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
  /^(?:from\s+[\w.]+\s+import\s|import\s+[A-Za-z_][\w.]*\s*(?:$|,|as\s|#|;)|def\s+\w+\s*\(.*|class\s+\w+\s*[(:]|async\s+def\s)/m;
/** What stands first in a module, once comments are past: an import, a definition, a docstring, an assignment. */
const FIRST =
  /^(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:from\s|import\s|def\s|class\s|async\s|@\w|[rub]?"""|'''|if\s|try:|[A-Za-z_][\w.]*\s*(?:=|\())/;

/** True for Python source: it begins as a module does and has a statement of one. A page about code begins otherwise or has fences. */
export function isPython(text: string): boolean {
  return STATEMENT.test(text) && FIRST.test(text.slice(0, 16_384)) && !/^```/m.test(text);
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
