import { leaves } from '../archive/paths.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { inspectTemplate } from '../template/inspect.ts';
import { checkTarget } from './imports.ts';
import { at, JSON_DEPTH, type Json, JsonError, type JsonMap, objects, parseJson } from './json.ts';
import { inspectKeras, isKerasConfig } from './keras.ts';
import { inspectPython } from './python.ts';
import { inspectSkops, isSkopsSchema } from './skops.ts';
import { scanText } from './text.ts';

/** Shards that hold nothing but tensors. */
/** Operators of MXNet that are written in Python. */
const CALLBACKS: ReadonlySet<string> = new Set(['Custom', '_Native', '_NDArray']);
const SAFE_SHARD = /\.(safetensors|gguf)$/i;

const LARGE = 2 ** 20;
const WINDOW = 2 ** 20;
const OVERLAP = 64;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
/** Every key that the inspection of a document begins with. */
const KEYS: readonly string[] = [
  'auto_map',
  'trust_remote_code',
  'chat_template',
  '_target_',
  'class_name',
  '__loader__',
  'weight_map',
  'nbformat',
  'model_config',
];
/** Bytes that JSON has outside strings, and those that it has between documents of a file of lines. */
const OUTSIDE: readonly boolean[] = Array.from(
  { length: 256 },
  (_, byte) => /[\s{}[\],:\w.+-]/.test(String.fromCharCode(byte)) && byte < 128,
);
const BETWEEN: readonly boolean[] = Array.from({ length: 256 }, (_, byte) => [9, 10, 13, 32, 0x5b, 0x5d, 0x7b, 0x7d].includes(byte));
const MARK_LENGTH = 3;
const ESCAPED_LETTER = /\\u00(?:5[fF]|[46][0-9a-fA-F]|[57][0-9aA])/;
/** Keys that loaders act on; which of two a parser takes matters for these. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'chat_template',
  'template',
  'auto_map',
  'weight_map',
  'class_name',
  'module',
  'config',
  'function',
  '_target_',
  '__loader__',
  '__module__',
  '__class__',
  'trust_remote_code',
]);

/** A JSON document: configuration of a model or tokenizer, index of shards, notebook, Keras or skops schema. By what it says, not by name. */
export async function scanJson(piece: Piece): Promise<void> {
  if (piece.source.size > LARGE && !mentions(piece)) return;
  if (piece.source.size > piece.limits.document) {
    piece.report('limit-document', `a JSON document of ${piece.source.size} bytes`);
    return;
  }
  const text = piece.source
    .read(0, piece.source.size)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  try {
    await inspectDocument(piece, parse(piece, text));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (error.kind === 'size') piece.report('limit-document', `the JSON ${error.message}`);
    else if (error.kind === 'depth') piece.report('json-depth', `the JSON is ${error.message}`, error.at);
    else if (!(await inspectLines(piece, text))) {
      // No loader of JSON gets past the fault; what else the text may be is looked at as text.
      piece.report('json-broken', `not sound JSON: ${error.message}`, error.at);
      scanText(piece);
    }
  }
}

/**
 * Whether there is anything to judge: one of the keys that matter, letters written as escapes, which could spell one, nesting beyond
 * what is allowed, or a byte that JSON does not have there (YAML and Python begin like JSON too). A vocabulary or a table of weights of a hundred mebibytes has none of it, and no tree of it is built.
 */
function mentions({ run, source }: Piece): boolean {
  let depth = 0;
  let inText = false;
  let escaped = false;
  for (let base = 0; base < source.size; base += WINDOW) {
    run.checkTime();
    const window = source.read(base, WINDOW + OVERLAP);
    const text = window.toString('latin1');
    if (KEYS.some((key) => text.includes(key)) || ESCAPED_LETTER.test(text)) return true;
    for (let at = 0; at < Math.min(WINDOW, window.length); at += 1) {
      const byte = window[at] ?? 0;
      if (!inText && byte !== QUOTE && base + at >= MARK_LENGTH && !(depth > 0 ? OUTSIDE : BETWEEN)[byte]) return true;
      if (escaped) escaped = false;
      else if (byte === BACKSLASH) escaped = inText;
      else if (byte === QUOTE) inText = !inText;
      else if (!inText && (byte === 0x5b || byte === 0x7b)) depth += 1;
      else if (!inText && (byte === 0x5d || byte === 0x7d)) depth -= 1;
      if (depth > JSON_DEPTH) return true;
    }
  }
  return false;
}

function parse(piece: Piece, text: string): Json {
  return parseJson(text, {
    lenient: true,
    onDuplicate: (key) => SENSITIVE.has(key) && piece.report('json-duplicate', `the key ${quote(key)} stands twice`),
  });
}

/** JSON Lines: one document a line. False where the first line is none. */
async function inspectLines(piece: Piece, text: string): Promise<boolean> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length < 2) return false;
  try {
    for (const line of lines) {
      piece.run.checkTime();
      await inspectDocument(piece, parse(piece, line));
    }
    return true;
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}

async function inspectDocument(piece: Piece, document: Json): Promise<void> {
  if (isSkopsSchema(document)) inspectSkops(piece, document);
  if (isKerasConfig(document) || piece.surrounding === 'keras') await inspectKeras(piece, document);
  if (!(document instanceof Map)) return;
  if (Array.isArray(document.get('cells')) && document.has('nbformat')) inspectNotebook(piece, document);
  if (Array.isArray(document.get('nodes')) && document.has('arg_nodes')) inspectMxnet(piece, document);
  const weights = document.get('weight_map');
  if (weights instanceof Map) inspectIndex(piece, weights);
  for (const node of objects(document)) await inspectObject(piece, node);
}

async function inspectObject(piece: Piece, node: JsonMap): Promise<void> {
  const map = node.get('auto_map');
  if (map instanceof Map) {
    const names = [...map.values()].flat().filter((value) => typeof value === 'string');
    const foreign = names.find((name) => name.includes('--'));
    if (foreign !== undefined) piece.report('config-remote-code', `auto_map imports code of another repository: ${quote(foreign)}`);
    else piece.report('config-remote-code', `auto_map imports code beside the model: ${quote(names.join(', '))}`);
  }
  if (node.get('trust_remote_code') === true) piece.report('config-remote-code', 'trust_remote_code is set');
  const target = node.get('_target_');
  if (typeof target === 'string') checkTarget(piece, target);
  const template = node.get('chat_template');
  if (typeof template === 'string') inspectTemplate(piece, template, 'the chat template');
  else if (Array.isArray(template) || template instanceof Map) inspectTemplates(piece, template);
  // A Keras configuration that is kept as a string inside another document.
  const nested = node.get('model_config');
  if (typeof nested === 'string' && nested.includes('class_name')) {
    try {
      await inspectKeras(piece, parseJson(nested, { lenient: true }));
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      piece.report('json-broken', 'a nested configuration is not sound JSON');
    }
  }
}

/** Named templates: a list of `{name, template}`, or a map from name to template. */
function inspectTemplates(piece: Piece, templates: Json[] | JsonMap): void {
  const named = Array.isArray(templates)
    ? templates.map((entry) => [at(entry, 'name'), at(entry, 'template')] as const)
    : [...templates].map(([name, template]) => [name, template] as const);
  for (const [name, template] of named)
    if (typeof template === 'string') inspectTemplate(piece, template, `the chat template ${quote(String(name))}`);
}

/** A symbol of MXNet: operators that call back into Python are named, by the program or by the library itself. */
function inspectMxnet(piece: Piece, symbol: JsonMap): void {
  const nodes = symbol.get('nodes');
  for (const node of Array.isArray(nodes) ? nodes : []) {
    const operator = at(node, 'op');
    if (typeof operator === 'string' && CALLBACKS.has(operator))
      piece.report('mxnet-custom-operator', `the operator ${operator}: ${quote(String(at(node, 'attrs', 'op_type') ?? ''))}`);
  }
}

function inspectIndex(piece: Piece, weights: JsonMap): void {
  const shards = new Set<string>();
  for (const shard of weights.values()) if (typeof shard === 'string') shards.add(shard);
  for (const shard of shards) if (leaves(shard)) piece.report('index-traversal', `the index names the shard ${quote(shard)}`);
  const unsafe = [...shards].find((shard) => !SAFE_SHARD.test(shard));
  if (unsafe !== undefined && [...shards].some((shard) => SAFE_SHARD.test(shard)))
    piece.report('index-pickle', `the index mixes in the shard ${quote(unsafe)}`);
}

function inspectNotebook(piece: Piece, notebook: JsonMap): void {
  const cells = notebook.get('cells');
  for (const cell of Array.isArray(cells) ? cells : []) {
    if (at(cell, 'cell_type') !== 'code') continue;
    const source = at(cell, 'source');
    const text = Array.isArray(source) ? source.filter((line) => typeof line === 'string').join('') : String(source ?? '');
    inspectPython(piece, text, 'a notebook cell');
    const command = /^[ \t]*[!%](?!matplotlib|load_ext|autoreload|time|pip install|config|env\b|cd\b|%time|%capture)[ \t]*(\S.*)$/m.exec(
      text,
    );
    if (command?.[0].trimStart().startsWith('!') === true)
      piece.report('python-dangerous', `a notebook cell runs a command: ${quote(command[1] ?? '')}`);
  }
}
