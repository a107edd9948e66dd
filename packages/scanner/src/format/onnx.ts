import { leaves } from '../archive/paths.ts';
import { COST, LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { checkNeighbour } from './neighbour.ts';
import { type Field, fields, NotProtobuf, outline, textOf, WIRE } from './protobuf.ts';

/** Domains of the operators that every runtime has; anything else needs a library of its own. */
const DOMAINS: ReadonlySet<string> = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.nchwc',
  'com.microsoft.experimental',
  'com.ms.internal.nhwc',
  'com.microsoft.dml',
  'org.pytorch.aten',
  'org.pytorch.prims',
  'pkg.onnxscript.torch_lib',
  'pkg.onnxscript.torch_lib.common',
  'pkg.torch',
  'local',
]);
const PYTHON_OPERATOR = /^(PyOp|PythonOp|PyFunc|PyCall|ExecutePython)/i;
const PYTHON_DOMAIN = /^(pyop|python|com\.microsoft\.python)/i;
const EXTERNAL_KEYS: ReadonlySet<string> = new Set(['location', 'offset', 'length', 'checksum', 'basepath']);
const DEPTH = 64;
/** Graphs, nodes, attributes and tensors of one model; the largest published ones have a tenth of it. */
const MESSAGES = 1_000_000;
const GRAPH_FIELDS: ReadonlySet<number> = new Set([1, 2, 5, 10, 11, 12, 13, 14, 15, 16]);

/**
 * What each field of a message leads to, by message: field numbers of onnx.proto (ONNX 1.21). Whatever can hold a tensor or a graph is
 * listed, not the main graph alone.
 */
type Message = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'training' | 'function';
const CHILDREN: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  tensor: {},
  sparse: { 1: 'tensor', 2: 'tensor' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
};

/** A ModelProto has a graph, and an IR version or operator sets. */
export function isOnnx(piece: Piece): boolean {
  const found = outline(piece.source);
  if (found === null) return false;
  const graph = found.get(7);
  return (
    graph?.wire === WIRE.bytes &&
    [...found.keys()].every((number) => number <= 26) &&
    (found.get(1)?.wire ?? 0) === WIRE.varint &&
    looksLikeGraph(piece, graph)
  );
}

function looksLikeGraph(piece: Piece, graph: Field): boolean {
  try {
    let count = 0;
    for (const field of fields(piece.source, graph.start, graph.end)) {
      if (field.number > 16 || field.wire !== WIRE.bytes) return false;
      count += 1;
      if (count > 100) break;
    }
    return true;
  } catch (error) {
    if (error instanceof NotProtobuf) return false;
    throw error;
  }
}

/** Every graph, subgraph, function and tensor of an ONNX model: operators that run code, and external data that leads outside. */
export function scanOnnx(piece: Piece): void {
  const functions = new Set<string>();
  try {
    for (const field of fields(piece.source, 0, piece.source.size)) {
      piece.run.spend(COST.field);
      if (field.number === 25) functions.add(functionDomain(piece, field));
    }
    walk(piece, 'model', 0, piece.source.size, functions, 0, { count: 0 });
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
    piece.report('protobuf-broken', error.message);
  }
}

function functionDomain(piece: Piece, field: Field): string {
  for (const inner of fields(piece.source, field.start, field.end)) if (inner.number === 10) return textOf(piece.source, inner);
  return '';
}

function walk(
  piece: Piece,
  message: Message,
  start: number,
  end: number,
  functions: ReadonlySet<string>,
  depth: number,
  messages: { count: number },
): void {
  piece.run.checkTime();
  if (depth > DEPTH) {
    piece.report('protobuf-depth', `graphs nest deeper than ${DEPTH} messages`, start);
    return;
  }
  messages.count += 1;
  if (messages.count > MESSAGES) throw new LimitReached('limit-entries', `more than ${MESSAGES} messages`);
  const external = new Map<string, string>();
  let operator = '';
  let domain = '';
  for (const field of fields(piece.source, start, end)) {
    // The trees of a forest are numbers one after another, each a field.
    piece.run.spend(field.wire === WIRE.bytes ? COST.field : COST.scalar);
    if (field.wire !== WIRE.bytes) continue;
    const next = CHILDREN[message][field.number];
    if (next !== undefined) walk(piece, next, field.start, field.end, functions, depth + 1, messages);
    else if (message === 'graph' && !GRAPH_FIELDS.has(field.number)) checkNesting(piece, field.start, field.end, depth + 1);
    else if (message === 'node' && field.number === 4) operator = textOf(piece.source, field);
    else if (message === 'node' && field.number === 7) domain = textOf(piece.source, field);
    else if (message === 'tensor' && field.number === 13) readEntry(piece, field, external);
  }
  if (message === 'node') checkOperator(piece, operator, domain, functions, start);
  if (external.size > 0) checkExternal(piece, external, start);
}

/** Fields that no version defines are skipped by parsers but for their nesting, which the generic ones follow. */
function checkNesting(piece: Piece, start: number, end: number, depth: number): void {
  if (depth > DEPTH) {
    piece.report('protobuf-depth', `messages nest deeper than ${DEPTH}`, start);
    return;
  }
  try {
    for (const field of fields(piece.source, start, end)) {
      piece.run.spend(COST.field);
      if (field.wire === WIRE.bytes && field.end - field.start > 1) checkNesting(piece, field.start, field.end, depth + 1);
    }
  } catch (error) {
    // No message: a string or raw bytes, which nest nothing.
    if (!(error instanceof NotProtobuf)) throw error;
  }
}

function readEntry(piece: Piece, field: Field, entries: Map<string, string>): void {
  let key = '';
  let value = '';
  for (const inner of fields(piece.source, field.start, field.end)) {
    if (inner.number === 1) key = textOf(piece.source, inner);
    else if (inner.number === 2) value = textOf(piece.source, inner);
  }
  entries.set(key, value);
}

function checkOperator(piece: Piece, operator: string, domain: string, functions: ReadonlySet<string>, offset: number): void {
  if (PYTHON_OPERATOR.test(operator) || PYTHON_DOMAIN.test(domain))
    piece.report('onnx-operator', `the operator ${quote(domain)}.${quote(operator)} runs Python`, offset);
  else if (!DOMAINS.has(domain) && !functions.has(domain))
    piece.report('onnx-custom-operator', `the operator ${quote(operator)} is of the unknown domain ${quote(domain)}`, offset);
}

/** What a system follows from where a link before it leads, and none of the exporters writes. */
const PARENT = /(?:^|[\\/])\.\.(?:[\\/]|$)/;

function checkExternal(piece: Piece, entries: ReadonlyMap<string, string>, offset: number): void {
  const location = entries.get('location') ?? '';
  if (location === '' || leaves(location) || PARENT.test(location))
    piece.report('onnx-external-data', `external data at ${quote(location)}`, offset);
  else checkNeighbour(piece, location, Number(entries.get('offset') ?? 0) + Number(entries.get('length') ?? 0), offset);
  for (const key of entries.keys())
    if (!EXTERNAL_KEYS.has(key)) piece.report('onnx-external-data', `external data sets ${quote(key)}`, offset);
  for (const key of ['offset', 'length']) {
    const value = entries.get(key);
    if (value !== undefined && !/^\d{1,15}$/.test(value))
      piece.report('onnx-external-data', `external data has the ${key} ${quote(value)}`, offset);
  }
}
