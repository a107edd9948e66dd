import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import type { RuleId } from '../rules.ts';
import { type Field, fields, NotProtobuf, outline, textOf, WIRE } from './protobuf.ts';

/** Operations that run Python or reach for files, by what a finding about them is. Reading a vocabulary or a checkpoint is ordinary. */
const OPERATIONS: Readonly<Record<string, RuleId>> = {
  ReadFile: 'tensorflow-operation',
  WriteFile: 'tensorflow-operation',
  PyFunc: 'tensorflow-operation',
  PyFuncStateless: 'tensorflow-operation',
  EagerPyFunc: 'tensorflow-operation',
  PyCall: 'tensorflow-operation',
  LoadLibrary: 'tensorflow-operation',
  LoadDataset: 'tensorflow-operation',
  SaveDataset: 'tensorflow-operation',
  SaveDatasetV2: 'tensorflow-operation',
  DebugIdentity: 'tensorflow-suspicious',
  DebugIdentityV2: 'tensorflow-suspicious',
  DebugIdentityV3: 'tensorflow-suspicious',
  MatchingFiles: 'tensorflow-suspicious',
  ReaderReadV2: 'tensorflow-suspicious',
  WholeFileReaderV2: 'tensorflow-suspicious',
  TextLineReaderV2: 'tensorflow-suspicious',
  FixedLengthRecordReaderV2: 'tensorflow-suspicious',
  TextLineDataset: 'tensorflow-suspicious',
  TFRecordDataset: 'tensorflow-suspicious',
  FixedLengthRecordDatasetV2: 'tensorflow-suspicious',
  RpcClient: 'tensorflow-suspicious',
  RpcCall: 'tensorflow-suspicious',
};
const DEPTH = 32;

type Message = 'saved' | 'meta' | 'graph' | 'node' | 'library' | 'function';
/** Field numbers of saved_model.proto, meta_graph.proto, graph.proto, function.proto, node_def.proto (TensorFlow 2). */
const CHILDREN: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  saved: { 2: 'meta' },
  meta: { 2: 'graph' },
  graph: { 1: 'node', 2: 'library' },
  library: { 1: 'function' },
  function: { 3: 'node' },
  node: {},
};

export function isSavedModel(piece: Piece): boolean {
  const found = outline(piece.source);
  const meta = found?.get(2);
  if (found === null || (found.get(1)?.wire ?? WIRE.varint) !== WIRE.varint || meta?.wire !== WIRE.bytes) return false;
  if ([...found.keys()].some((number) => number > 2)) return false;
  let graph = false;
  const sound = reads(piece, meta, (field) => {
    graph ||= field.number === 2;
    return field.number <= 9 && field.wire === WIRE.bytes;
  });
  return sound && graph;
}

/** What `tf.train.Saver` writes beside a checkpoint: the graph is the second field. */
export function isMetaGraph(piece: Piece): boolean {
  const found = outline(piece.source, 100);
  const graph = found?.get(2);
  if (found === null || graph?.wire !== WIRE.bytes || [...found.entries()].some(([number, { wire }]) => number > 7 || wire !== WIRE.bytes))
    return false;
  return isGraphDef(piece.part(graph.start, graph.end));
}

/** A frozen graph: nodes with a name and an operation, and nothing else at the top. */
export function isGraphDef(piece: Piece): boolean {
  const found = outline(piece.source, 100);
  const node = found?.get(1);
  if (found === null || node?.wire !== WIRE.bytes || [...found.keys()].some((number) => number > 5)) return false;
  let operation = false;
  const sound = reads(piece, node, (field) => {
    if (field.number === 2) operation = /^[A-Z]\w*$/.test(textOf(piece.source, field));
    return field.number <= 7 && field.wire === WIRE.bytes;
  });
  return sound && operation;
}

function reads(piece: Piece, within: Field, accept: (field: Field) => boolean): boolean {
  try {
    for (const field of fields(piece.source, within.start, within.end)) if (!accept(field)) return false;
    return true;
  } catch (error) {
    if (error instanceof NotProtobuf) return false;
    throw error;
  }
}

export function scanSavedModel(piece: Piece): void {
  scan(piece, 'saved');
}

export function scanMetaGraph(piece: Piece): void {
  scan(piece, 'meta');
}

export function scanGraphDef(piece: Piece): void {
  scan(piece, 'graph');
}

function scan(piece: Piece, message: Message): void {
  try {
    walk(piece, message, 0, piece.source.size, 0);
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
    piece.report('protobuf-broken', error.message);
  }
}

/** Reports an operation that runs Python or reaches for files. */
export function reportOperation(piece: Piece, operation: string, offset: number): void {
  const rule = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : undefined;
  if (rule !== undefined) piece.report(rule, `the graph holds the operation ${quote(operation)}`, offset);
}

function walk(piece: Piece, message: Message, start: number, end: number, depth: number): void {
  piece.run.checkTime();
  if (depth > DEPTH) {
    piece.report('protobuf-depth', `messages nest deeper than ${DEPTH}`, start);
    return;
  }
  for (const field of fields(piece.source, start, end)) {
    piece.run.spend(COST.field);
    if (field.wire !== WIRE.bytes) continue;
    if (message === 'node' && field.number === 2) reportOperation(piece, textOf(piece.source, field), field.start);
    const next = CHILDREN[message][field.number];
    if (next !== undefined) walk(piece, next, field.start, field.end, depth + 1);
  }
}
