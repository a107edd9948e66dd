import {
  Composer,
  type CST,
  type Document,
  type DocumentOptions,
  isAlias,
  Lexer,
  LineCounter,
  Parser,
  type SchemaOptions,
  visit,
} from 'yaml';
import { ConfigError, type Path } from './problem.ts';

/** Bounds on a configuration file. Hostile ones (deep nesting, alias bombs) are refused before they cost anything. */
export const MAX_YAML_BYTES = 1_048_576;
const MAX_DEPTH = 48;
const MAX_ALIASES = 100;

export type YamlDialect = Pick<SchemaOptions, 'schema' | 'merge' | 'resolveKnownTags'> & Pick<DocumentOptions, 'version'>;

/** Ours: JSON's types and nothing more, so that `no` and `1:30` are texts. */
const STRICT: YamlDialect = { version: '1.2', schema: 'core', merge: false, resolveKnownTags: false };
/** What Python programs read: YAML 1.1 with merge keys. */
export const PYTHON_YAML: YamlDialect = { version: '1.1', schema: 'yaml-1.1', merge: true, resolveKnownTags: true };

export interface YamlText {
  /** Plain data: mappings without prototype surprises, lists, texts, numbers, booleans, null. */
  readonly value: unknown;
  /** 1-based line of the value at a path, or of the nearest part of it that exists. */
  lineOf(path: Path): number | null;
}

/**
 * Reads one YAML 1.2 document (core schema; JSON is a subset of it). Refused: duplicate keys, unknown tags, keys that are not texts,
 * several documents, aliases beyond a bound, nesting deeper than 48, more than 1 MiB.
 * @throws ConfigError
 */
export function readYaml(text: string, dialect: YamlDialect = STRICT): YamlText {
  if (Buffer.byteLength(text) > MAX_YAML_BYTES) throw refused('at most 1 MiB', `${Buffer.byteLength(text)} bytes`);
  const lines = new LineCounter();
  const document = compose(text, lines, dialect);
  const problems = [...document.errors, ...document.warnings].map((error) => ({
    path: '',
    expected: 'a YAML 1.2 document',
    // The library's messages may repeat text of the file: the code says which rule was broken.
    got: SYNTAX[error.code] ?? error.code.toLowerCase().replaceAll('_', ' '),
    line: lines.linePos(error.pos[0]).line,
  }));
  if (problems.length > 0) throw new ConfigError(problems.slice(0, 20));
  checkAliases(document, lines);
  return { value: toPlain(document), lineOf: (path) => lineOf(document, lines, path) };
}

/** Names of syntax errors in the words of a user; the rest is told by the library's code. */
const SYNTAX: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'a key that is there twice',
  MULTIPLE_DOCS: 'more than one document',
  TAG_RESOLVE_FAILED: 'an unknown tag (!…)',
  NON_STRING_KEY: 'a key that is not a text',
  TAB_AS_INDENT: 'a tab as indentation',
  BAD_INDENT: 'wrong indentation',
  BAD_ALIAS: 'a bad alias (*…)',
  MISSING_CHAR: 'a missing character, such as a quote or a bracket',
  UNEXPECTED_TOKEN: 'something unexpected',
  MULTILINE_IMPLICIT_KEY: 'a key over several lines',
  IMPOSSIBLE: 'something that cannot be read',
};

function refused(expected: string, got: string, line?: number): ConfigError {
  return new ConfigError([{ path: '', expected, got, ...(line === undefined ? {} : { line }) }]);
}

function compose(text: string, lines: LineCounter, dialect: YamlDialect): Document.Parsed {
  const composer = new Composer({ ...dialect, strict: true, uniqueKeys: true, stringKeys: true, logLevel: 'error' });
  const [document, second] = [...composer.compose(boundedTokens(text, lines), true, text.length)];
  if (document === undefined) throw refused('a YAML 1.2 document', 'nothing');
  if (second !== undefined) throw refused('one YAML document', 'several', lines.linePos(second.range[0]).line);
  return document;
}

/** Syntax tokens, given up as soon as they nest too deep: the composer recurses over them. */
function* boundedTokens(text: string, lines: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAX_DEPTH)
      throw refused(`nesting of at most ${MAX_DEPTH}`, 'deeper nesting', lines.linePos(parser.offset).line);
  }
  yield* parser.end();
}

function checkAliases(document: Document.Parsed, lines: LineCounter): void {
  let count = 0;
  visit(document, {
    Alias(_key, node) {
      if (!isAlias(node)) return undefined;
      count += 1;
      if (count > MAX_ALIASES) throw refused(`at most ${MAX_ALIASES} aliases`, 'more', lines.linePos(node.range?.[0] ?? 0).line);
      return undefined;
    },
  });
}

function toPlain(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // Pure code over the document: whatever it throws, the document is at fault. Alias bombs are a ReferenceError, bad merge keys an Error.
    const bomb = error instanceof ReferenceError;
    throw new ConfigError(
      [{ path: '', expected: 'a YAML document that stands for plain data', got: bomb ? 'aliases that multiply' : 'something else' }],
      { cause: error },
    );
  }
}

function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number | null {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (typeof node !== 'object' || node === null || !('range' in node)) continue;
    const range = node.range;
    if (Array.isArray(range) && typeof range[0] === 'number') return lines.linePos(range[0]).line;
  }
  return null;
}
