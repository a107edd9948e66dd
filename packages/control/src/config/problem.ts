/** One thing that is wrong with a configuration. Never holds the text of a secret: `got` describes what cannot be shown. */
export interface ConfigProblem {
  /** Where, as written in the file: `upstreams[0].url`; empty for the file as a whole. */
  readonly path: string;
  readonly expected: string;
  readonly got: string;
  readonly hint?: string;
  /** 1-based line of the file, where it is known. */
  readonly line?: number;
}

/** Something that works but is weak or surprising, with what to do about it. */
export interface ConfigWarning {
  readonly path: string;
  readonly message: string;
  readonly fix: string;
}

/** A configuration that was refused. `problems` has all of them, in the order of the file. */
export class ConfigError extends Error {
  override readonly name: string = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options);
    this.problems = problems;
  }
}

/** `line 12: upstreams[0].url: expected an http or https URL, got 'ftp://x' (hint)`. */
export function formatProblem(problem: ConfigProblem): string {
  const where = problem.line === undefined ? '' : `line ${problem.line}: `;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${where}${path}expected ${problem.expected}, got ${problem.got}${hint}`;
}

export type Path = readonly (string | number)[];

/** `['upstreams', 0, 'url']` as `upstreams[0].url`; names that are no plain word are quoted. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${quote(part)}]`;
  }
  return text;
}

/** The longest text of the file that a message repeats. */
const MAX_QUOTED = 60;

/** Text from the file in single quotes, shortened, with control and invisible characters escaped so that it cannot forge a log line or a terminal sequence. */
export function quote(text: string): string {
  const short = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  const safe = short.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}'\\]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `'${safe}'`;
}

/** What a value is, for `got`. Text that looks like a secret is described, not shown. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'string')
    return looksLikeSecret(value) ? `a text of ${value.length} characters that looks like a secret` : quote(value);
  if (typeof value === 'object') return 'a mapping';
  return String(value);
}

const SECRET_PREFIX = /^(sk-|sp_live_|sp_test_|hf_|gh[pousr]_|glpat-|xox[abprs]-|AKIA|eyJ|Bearer |-----BEGIN)/;
const CREDENTIALS_IN_URL = /^[a-z][a-z0-9+.-]{0,15}:\/\/[^/@\s]{0,256}@/i;

/** Known token shapes, URLs with credentials, and long unbroken strings of mixed letters and digits. Errs on the side of hiding. */
export function looksLikeSecret(text: string): boolean {
  if (SECRET_PREFIX.test(text) || CREDENTIALS_IN_URL.test(text)) return true;
  if (text.length < 20 || !/^[A-Za-z0-9+/_=~.-]+$/.test(text)) return false;
  return /[0-9]/.test(text) && /[A-Za-z]/.test(text) && !/[/.-][A-Za-z]+[/.-]/.test(text);
}

/** Gathers problems and warnings while a configuration is read. */
export class Findings {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigWarning[] = [];
  readonly #lineOf: (path: Path) => number | null;

  constructor(lineOf: (path: Path) => number | null = () => null) {
    this.#lineOf = lineOf;
  }

  problem(path: Path, expected: string, got: string, hint?: string): void {
    const line = this.#lineOf(path);
    this.problems.push({
      path: formatPath(path),
      expected,
      got,
      ...(hint === undefined ? {} : { hint }),
      ...(line === null ? {} : { line }),
    });
  }

  warn(path: Path, message: string, fix: string): void {
    this.warnings.push({ path: formatPath(path), message, fix });
  }

  /** Throws `ConfigError` if there is a problem, in the order of the file. */
  throwIfAny(): void {
    if (this.problems.length === 0) return;
    const rank = (problem: ConfigProblem): number => problem.line ?? Number.MAX_SAFE_INTEGER;
    throw new ConfigError(this.problems.toSorted((a, b) => rank(a) - rank(b)));
  }
}
