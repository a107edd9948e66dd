import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { blank, importTime } from './python-scope.ts';
import { normalized, readsAsCode } from './python-text.ts';

/** Functions that no modelling code needs, by module and by what they do. */
const DANGEROUS: readonly (readonly [effect: string, modules: string, names: string])[] = [
  ['runs commands', 'os|posix|nt', 'system|popen|startfile|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|fork|forkpty'],
  ['runs commands', 'subprocess', 'Popen|run|call|check_call|check_output|getoutput|getstatusoutput'],
  ['runs commands', 'pty', 'spawn'],
  ['runs commands', 'commands|popen2', 'getoutput|getstatusoutput|popen[23]'],
  ['runs commands', 'asyncio', 'create_subprocess_(?:shell|exec)'],
  ['runs code', 'builtins|__builtins__|__builtin__', 'exec|eval|__import__'],
  ['runs code', 'runpy', 'run_path|run_module'],
  ['runs code', 'code', 'Interactive(?:Interpreter|Console)|interact'],
  ['runs code', 'timeit', 'timeit|repeat|Timer'],
  ['runs code', 'cProfile', 'run|runctx'],
  ['runs commands', 'pydoc', 'pipepager|tempfilepager'],
  ['runs code', 'marshal|c?[pP]ickle|_pickle|dill|cloudpickle', 'loads?'],
  ['uses the network', 'socket', 'socket|create_connection'],
  ['uses the network', 'urllib\\.request|urllib2?', 'urlopen|urlretrieve'],
  ['uses the network', 'requests|httpx', 'get|post|put|request|Session|Client'],
  ['uses the network', 'http\\.client', 'HTTPS?Connection'],
  ['uses the network', 'ftplib|smtplib|telnetlib', 'FTP(?:_TLS)?|SMTP(?:_SSL)?|Telnet'],
  ['loads native code', 'ctypes', 'CDLL|PyDLL|WinDLL|OleDLL|(?:cdll|windll|oledll|pydll)\\.\\w+|pythonapi\\.\\w+'],
];
const LOOKUP = 'looks up a function by name';
/** Functions that are bound to the module that has them all. */
const BUILTIN =
  'abs|all|any|ascii|bin|callable|chr|compile|delattr|dir|divmod|format|getattr|globals|hasattr|hash|hex|id|input|isinstance|issubclass|iter|len|locals|max|min|next|oct|open|ord|pow|print|repr|round|setattr|sorted|sum|vars|__import__|__build_class__';
const WATCHED = DANGEROUS.map(([, modules]) => modules).join('|');
/** The module under another name, and functions out of it. */
const RENAMED = new RegExp(`(?:import[ \\t]+|,[ \\t]*)(${WATCHED})[ \\t]+as[ \\t]+(\\w+)`, 'g');
const ASSIGNED = new RegExp(`(?<![\\w.])(\\w+)[ \\t]*:?=[ \\t]*\\(?(${WATCHED})[ \\t]*(?=[;#)\\n]|$)`, 'gm');
const TAKEN = new RegExp(`from[ \\t]+(${WATCHED})[ \\t]+import[ \\t]*(?:\\(([^)]{0,2000})\\)|([^\\n;]{1,2000}))`, 'g');
/** Ways to a module or a name that do not write it down. */
const INDIRECT: readonly (readonly [effect: string, pattern: RegExp])[] = [
  ['runs code', /(?<![\w.]|\bdef[ \t])(?:exec|eval)\s*\(/g],
  [
    'imports by name what runs commands or code',
    new RegExp(`\\b(?:__import__|import_module)\\s*\\(\\s*['"](?:${WATCHED})['"]\\s*[,)]`, 'g'),
  ],
  ['imports a computed name', /\b__import__\s*\(\s*(?!['"]\w[\w.]*['"]|\w+\s*[,)])/g],
  // Constants that not every system has are asked for by name.
  [
    LOOKUP,
    /\b(?:getattr|vars)\s*\(\s*(?:os|posix|nt|subprocess|builtins|__builtins__|pty|__import__)\b(?!\s*,\s*(?:"[A-Z][A-Z_]*"|'[A-Z][A-Z_]*')\s*[,)])/g,
  ],
  [LOOKUP, /\b__builtins__\s*(?:\[|\.\s*(?:__dict__|__getattribute__|get|pop)\b)/g],
  [LOOKUP, /(?<![\w.])\w+[ \t]*:?=[ \t]*\(?__builtins__\b/g],
  [LOOKUP, /\b(?:os|subprocess|builtins)\s*\.\s*__dict__\s*(?:\[|\.\s*(?:get|pop|values|items)\b)/g],
  [LOOKUP, /\b(?:os|posix|nt|subprocess|builtins)\s*\.\s*__getattribute__\b/g],
  [LOOKUP, /(?:\b(?:globals|locals|vars)\s*\(\s*\)|__globals__)\s*(?:\[|\.\s*(?:get|pop|setdefault)\s*\()\s*[rbu]?['"]__builtins__/gi],
  // A key that is put together out of pieces.
  [
    LOOKUP,
    /(?:\b(?:globals|locals|vars)\s*\(\s*\)|__globals__)\s*(?:\[|\.\s*get\s*\()[^\])\n]{0,200}['"]\s*(?:\+|%|\.\s*(?:join|format|replace)\b)(?![^\]\n]{0,200}\]\s*=(?!=))/g,
  ],
  [LOOKUP, /\.\s*__builtins__\b/g],
  [LOOKUP, new RegExp(`(?<![\\w.])(?:${BUILTIN})\\s*\\.\\s*__self__\\b`, 'g')],
  [LOOKUP, new RegExp(`\\bmodules\\s*(?:\\[|\\.\\s*(?:get|pop)\\s*\\()\\s*['"](?:${WATCHED})['"]\\s*[,\\])](?!\\s*=(?!=))`, 'g')],
  [
    LOOKUP,
    /\b(?:methodcaller|attrgetter)\s*\(\s*['"](?:[\w.]*\.)?(?:system|popen|Popen|exec\w*|eval|spawn\w*|check_output|check_call|__import__)['"]/g,
  ],
  [LOOKUP, /__(?:base__|(?:bases|mro)__\s*\[[^\]\n]{0,40}\])\s*\.\s*__subclasses__\s*\(/g],
  ['runs commands', /\._?os\s*\.\s*(?:system|popen)\s*\(/g],
];
/**
 * Ways that honest code has a use for inside functions; at the top of a module it has none. Read from the text without strings. `platform.system`
 * takes no argument.
 */
const ON_IMPORT: readonly (readonly [effect: string, pattern: RegExp])[] = [
  ['runs commands', /\.\s*(?:system|popen)\s*\(\s*[^)\s]/g],
  ['runs code', /(?<![\w.])\w+[ \t]*:?=[ \t]*\(?(?:exec|eval)[ \t]*(?=[;#)\n]|$)/gm],
  ['runs code', /(?:\bmap\s*\(\s*|@\s*|\[\s*)(?:exec|eval)\b/g],
  ['runs code', /(?<![\w.)\]])\(\s*(?:\w+\s*:=\s*)?(?:exec|eval)\s*\)\s*\(/g],
  ['runs code', /\bFunctionType\s*\(\s*(?:\w+\.)?(?:compile|loads)\b/g],
  ['imports a computed name', /\b(?:__import__|import_module)\s*\(\s*\w+\s*\)\s*\./g],
];
/** Functions of which a mention as a value is as good as a call: somebody else calls it. `Popen` is a type as well. */
const HANDED = new Set(['runs commands']);
/** Encodings in which code reads as something else (PEP 263). */
const HIDING = /^(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*(?:utf[-_]?7|u7|unicode[-_][\w-]+|raw[-_]unicode[-_]escape|punycode|idna)\b/i;
/** Longest text whose functions are told apart. */
const SCOPED = 2 ** 20;
const TORCHSCRIPT = /\b(?:torch|aten)(?:\.|::)(?:from_file|save)\b/;
/** A word without which nothing below is found. */
const HARMFUL =
  /\b(?:exec|eval|system|popen|getattr|vars|globals|locals|modules|methodcaller|attrgetter)\b|__(?:import|builtins|dict|getattribute|globals|self|subclasses)__/;
const HARMFUL_LINE =
  /^[ \t]*(?:\w+[ \t]*=[ \t]*)?(?:exec|eval|__import__|getattr|os\.\w+|subprocess\.\w+)[ \t]*\([^\n]{0,4096}\)[ \t]*(?:[;#][^\n]*)?$/gm;
/** Places of one kind: what runs is told of each, and no module has a hundredth of it. */
const MAX_DANGERS = 10_000;
const MAX_ALIASES = 200;

/** Whether a text is code from its first line to its last, whatever it begins with, and does harm. */
export function isHarmfulCode(text: string): boolean {
  if (text.length > SCOPED) return false;
  const plain = normalized(text);
  if (!HARMFUL.test(plain)) return false;
  const code = blank(plain);
  return code !== null && readsAsCode(code) && standingDangers(plain, code).length > 0;
}

/** Whether a line does nothing but call what does harm, or keeps its result. Such a text is a module even where it imports nothing. */
export function hasHarmfulLine(text: string): boolean {
  const lines = normalized(text).match(HARMFUL_LINE) ?? [];
  const calls = lines.filter((line) => {
    const code = blank(line.trimStart());
    return code === null || readsAsCode(code);
  });
  return calls.length > 0 && findDangers(calls.join('\n'), null).length > 0;
}

/**
 * Code that a loader imports when told to trust it; the file is read, never compiled. Of a file by itself only what runs when it is imported
 * counts, or when a loader uses the model classes in it: packages run commands in functions that nobody calls. Inside a model all of it counts.
 */
export function inspectPython(piece: Piece, text: string, what: string = 'Python code', whole: boolean = false): void {
  const scoped = whole && text.length <= SCOPED && piece.depth === 0 && piece.surrounding === 'file';
  const plain = normalized(text);
  const code = scoped ? blank(plain) : null;
  const dangers = standingDangers(plain, code);
  const offsets = dangers.map(({ index }) => index);
  const runs = code === null ? (): boolean => true : importTime(plain, code, offsets, (units) => piece.run.spend(units));
  if (whole && HIDING.test(text)) piece.report('python-dangerous', `${what} is written in an encoding that hides what it does`);
  const told = new Set<string>();
  for (const { effect, index, words, always } of dangers) {
    if (told.has(effect) || !(always || runs(index))) continue;
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
  /** Wherever it stands: what else there is could not be followed. */
  readonly always: boolean;
}

/** Those that stand in code, and not in a string or a comment. */
function standingDangers(text: string, code: string | null): Danger[] {
  return findDangers(text, code).filter(({ index, always }) => always || code === null || code[index] === text[index]);
}

/** In the order of the table, then of the text. `code` is the text without strings and comments, where they can be told. */
function findDangers(whole: string, code: string | null): Danger[] {
  const dangers: Danger[] = [];
  // A line that goes on.
  const text = whole.replace(/\\\r?\n/g, (joint) => ' '.repeat(joint.length));
  const giveUp = (index: number): void => {
    dangers.push({ effect: 'holds more of what runs code than can be followed', index, words: '', always: true });
  };
  const find = (effect: string, pattern: RegExp, among: string = text): void => {
    let count = 0;
    for (const match of among.matchAll(pattern)) {
      count += 1;
      if (count > MAX_DANGERS) {
        giveUp(match.index);
        return;
      }
      const lead = /^[^\w]*/.exec(match[0])?.[0].length ?? 0;
      dangers.push({ effect, index: match.index + lead, words: match[0].trim().replace(/\s+/g, ' '), always: false });
    }
  };
  // What strings and comments say of imports is no import.
  const names = code === null ? text : code.replace(/\\\r?\n/g, (joint) => ' '.repeat(joint.length));
  const renamed = [
    ...distinct(names, RENAMED, ([, name = '', alias = '']) => `${name} ${alias}`),
    ...distinct(names, ASSIGNED, ([, alias = '', name = '']) => `${name} ${alias}`),
  ].map((pair) => pair.split(' '));
  const taken = distinct(names, TAKEN, ([, name = '', bracketed, plain = '']) => `${name} ${bracketed ?? plain}`).map(
    (list) => [list.slice(0, list.indexOf(' ')), list.slice(list.indexOf(' ') + 1)] as const,
  );
  if (renamed.length + taken.length > MAX_ALIASES) {
    giveUp(0);
    return dangers;
  }
  // What is only named is looked for outside of strings, comments and the imports themselves.
  const named = code === null ? null : code.replace(/\\\n/g, '  ').replace(TAKEN, (list) => ' '.repeat(list.length));
  for (const [effect, modules, members] of DANGEROUS) {
    const module = new RegExp(`^(?:${modules})$`);
    const aliases = renamed.flatMap(([name = '', alias = '']) => (module.test(name) ? [alias] : []));
    const prefixes = [modules, ...aliases].join('|');
    const member = `(?:${prefixes})\\s*(?:\\)\\s*)?\\.\\s*(?:${members})`;
    find(effect, new RegExp(`(?<![\\w.])${member}\\s*\\(`, 'g'));
    if (aliases.length > 0 && effect.startsWith('runs'))
      find(
        LOOKUP,
        new RegExp(
          `\\b(?:(?:getattr|vars)\\s*\\(\\s*(?:${aliases.join('|')})\\s*(?:\\)\\s*\\[|,[^()\\n]{0,200}\\)\\s*\\()|(?:${aliases.join('|')})\\s*\\.\\s*__dict__\\s*[[.])`,
          'g',
        ),
      );
    const functions = taken.flatMap(([name, list]) => (module.test(name) ? imported(list, members) : []));
    const known = [member, ...functions].join('|');
    const assigned = new RegExp(`(?<![\\w.])(\\w+)[ \\t]*:?=[ \\t]*\\(?(?:${known})[ \\t]*(?=[;#)\\n]|$)`, 'gm');
    const given = !new RegExp(`(?<![\\w.])(?:${known})[ \\t]*(?:[;#)\\n]|$)`, 'm').test(text)
      ? []
      : distinct(text, assigned, ([, alias = '']) => alias);
    if (given.length > MAX_ALIASES) {
      giveUp(0);
      return dangers;
    }
    functions.push(...given);
    if (functions.length > 0) find(effect, new RegExp(`(?<![\\w.]|def[ \\t])(?:${functions.join('|')})\\s*\\(`, 'g'));
    if (named === null || !HANDED.has(effect)) continue;
    const value = `(?!(?:\\w+\\.)?Popen\\b)(?:${[member, ...functions].join('|')})`;
    find(effect, new RegExp(`[([,]\\s*${value}\\s*[\\]),]|:=\\s*${value}\\b|@\\s*${value}\\b|(?<![\\w.])${value}\\s*\\.`, 'g'), named);
  }
  for (const [effect, pattern] of INDIRECT) find(effect, pattern);
  if (named !== null) for (const [effect, pattern] of ON_IMPORT) find(effect, pattern, named);
  return dangers;
}

/** What matches come to, each once; one more than is followed where there are more. */
function distinct(text: string, pattern: RegExp, of: (match: RegExpExecArray) => string): string[] {
  const found = new Set<string>();
  for (const match of text.matchAll(pattern)) if (found.add(of(match)).size > MAX_ALIASES) break;
  return [...found];
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
