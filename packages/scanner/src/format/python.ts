import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { blank, importTime } from './python-scope.ts';

/** Functions that no modelling code needs, by module and by what they do. */
const DANGEROUS: readonly (readonly [effect: string, modules: string, names: string])[] = [
  ['runs commands', 'os|posix|nt', 'system|popen|startfile|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|fork|forkpty'],
  ['runs commands', 'subprocess', 'Popen|run|call|check_call|check_output|getoutput|getstatusoutput'],
  ['runs commands', 'pty', 'spawn'],
  ['runs commands', 'commands|popen2', 'getoutput|getstatusoutput|popen[23]'],
  ['runs commands', 'asyncio', 'create_subprocess_(?:shell|exec)'],
  ['runs code', 'builtins|__builtins__|__builtin__', 'exec|eval|__import__'],
  ['runs code', 'runpy', 'run_path|run_module'],
  ['runs code', 'marshal|c?[pP]ickle|_pickle|dill|cloudpickle', 'loads?'],
  ['uses the network', 'socket', 'socket|create_connection'],
  ['uses the network', 'urllib\\.request|urllib2?', 'urlopen|urlretrieve'],
  ['uses the network', 'requests|httpx', 'get|post|put|request|Session|Client'],
  ['uses the network', 'http\\.client', 'HTTPS?Connection'],
  ['uses the network', 'ftplib|smtplib|telnetlib', 'FTP(?:_TLS)?|SMTP(?:_SSL)?|Telnet'],
  ['loads native code', 'ctypes', 'CDLL|PyDLL|WinDLL|OleDLL|(?:cdll|windll|oledll|pydll)\\.\\w+|pythonapi\\.\\w+'],
];
const WATCHED = DANGEROUS.map(([, modules]) => modules).join('|');
/** The module under another name, and functions out of it. */
const RENAMED = new RegExp(`(?:import|,)[ \\t]+(${WATCHED})[ \\t]+as[ \\t]+(\\w+)`, 'g');
const TAKEN = new RegExp(`from[ \\t]+(${WATCHED})[ \\t]+import[ \\t]*(?:\\(([^)]{0,2000})\\)|([^\\n;]{1,2000}))`, 'g');
/** Ways to a module or a name that do not write it down. */
const INDIRECT: readonly (readonly [effect: string, pattern: RegExp])[] = [
  ['runs code', /(?<![\w.]|\bdef[ \t])(?:exec|eval)\s*\(/g],
  [
    'imports by name what runs commands or code',
    new RegExp(`\\b(?:__import__|import_module)\\s*\\(\\s*['"](?:${WATCHED})['"]\\s*[,)]`, 'g'),
  ],
  ['imports a computed name', /\b__import__\s*\(\s*(?!['"]\w[\w.]*['"]|\w+\s*[,)])/g],
  ['looks up a function by name', /\bgetattr\s*\(\s*(?:os|posix|nt|subprocess|builtins|__builtins__|pty|__import__)\b/g],
  ['looks up a function by name', /\b(?:__builtins__|(?:os|subprocess|builtins)\.__dict__)\s*\[/g],
];
/** Longest text whose functions are told apart. */
const SCOPED = 2 ** 20;
const TORCHSCRIPT = /\b(?:torch|aten)(?:\.|::)(?:from_file|save)\b/;
const STATEMENT =
  /(?:^|[;:])[ \t\f]*(?:from\s+[\w.]+\s+import\s|import\s+[A-Za-z_][\w.]*\s*(?:$|,|as\s|#|;)|def\s+\w+\s*\(.*|class\s+\w+\s*[(:]|async\s+def\s)/m;
const MAX_ALIASES = 200;
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

/** Whether a line does nothing but call what does harm, or keeps its result. Such a text is a module even where it imports nothing. */
export function hasHarmfulLine(text: string): boolean {
  const lines =
    /^[ \t]*(?:\w+[ \t]*=[ \t]*)?(?:exec|eval|__import__|getattr|os\.\w+|subprocess\.\w+)[ \t]*\([^\n]{0,4096}\)[ \t]*(?:[;#][^\n]*)?$/gm;
  return [...text.matchAll(lines)].some(([line]) => findDangers(line).length > 0);
}

/**
 * Code that a loader imports when told to trust it; the file is read, never compiled. Of a file by itself only what runs when it is imported
 * counts, or when a loader uses the model classes in it: packages run commands in functions that nobody calls. Inside a model all of it counts.
 */
export function inspectPython(piece: Piece, text: string, what: string = 'Python code', whole: boolean = false): void {
  const scoped = whole && text.length <= SCOPED && piece.depth === 0 && piece.surrounding === 'file';
  const code = scoped ? blank(text) : null;
  const dangers = findDangers(text).filter(({ index }) => code === null || code[index] === text[index]);
  const runs = code === null ? (): boolean => true : importTime(code, dangers.map(({ index }) => index)); // biome-ignore format: one line
  const told = new Set<string>();
  for (const { effect, index, words } of dangers) {
    if (told.has(effect) || !runs(index)) continue;
    told.add(effect);
    piece.report('python-dangerous', `${what} ${effect}: ${quote(words)}`, index);
  }
  if (piece.surrounding === 'torch' && TORCHSCRIPT.test(text))
    piece.report('torchscript-operator', 'TorchScript code reads or writes files', text.search(TORCHSCRIPT));
}

interface Danger {
  readonly effect: string;
  readonly index: number;
  readonly words: string;
}

/** In the order of the table, then of the text. */
function findDangers(text: string): Danger[] {
  const dangers: Danger[] = [];
  const find = (effect: string, pattern: RegExp): void => {
    for (const match of text.matchAll(pattern)) {
      const lead = /^[^\w]*/.exec(match[0])?.[0].length ?? 0;
      dangers.push({ effect, index: match.index + lead, words: match[0].trim().replace(/\s+/g, ' ') });
    }
  };
  const renamed = [...text.matchAll(RENAMED)].slice(0, MAX_ALIASES);
  const taken = [...text.matchAll(TAKEN)].slice(0, MAX_ALIASES);
  for (const [effect, modules, names] of DANGEROUS) {
    const module = new RegExp(`^(?:${modules})$`);
    const prefixes = [modules, ...renamed.filter(([, name]) => module.test(name ?? '')).map(([, , alias]) => alias ?? '')].join('|');
    find(effect, new RegExp(`(?<![\\w.])(?:${prefixes})\\s*\\.\\s*(?:${names})\\s*\\(`, 'g'));
    const functions = taken.filter(([, name]) => module.test(name ?? '')).flatMap((match) => imported(match[2] ?? match[3] ?? '', names));
    if (functions.length > 0) find(effect, new RegExp(`(?<![\\w.]|def[ \\t])(?:${functions.join('|')})\\s*\\(`, 'g'));
  }
  for (const [effect, pattern] of INDIRECT) find(effect, pattern);
  return dangers;
}

/** The names under which functions of a table are there after `from module import list`. */
function imported(list: string, names: string): string[] {
  const known = new RegExp(`^(?:${names.replaceAll('\\.\\w+', '')})$`);
  return list
    .replace(/#[^\n]*/g, '')
    .split(',')
    .flatMap((part) => {
      const [name = '', alias = name] = part.trim().split(/\s+as\s+/);
      if (name === '*') return [`(?:${names})`];
      return known.test(name) && /^\w+$/.test(alias) ? [name.includes('dll') ? `${alias}\\.\\w+` : alias] : [];
    });
}
