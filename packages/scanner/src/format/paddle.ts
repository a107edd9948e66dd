import { leaves } from '../archive/paths.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { type Field, fields, NotProtobuf, outline, textOf, WIRE } from './protobuf.ts';

/** Field numbers of ProgramDesc, BlockDesc, OpDesc and its attributes (PaddlePaddle, framework.proto). */
const BLOCKS = 1;
const BLOCK = { index: 1, parent: 2, variables: 3, operators: 4 } as const;
const OPERATOR = { type: 3, attributes: 4 } as const;
const ATTRIBUTE = { name: 1, text: 5 } as const;
const FILES: ReadonlySet<string> = new Set(['load', 'save', 'load_combine', 'save_combine', 'sparse_tensor_load']);
const SUSPICIOUS: Readonly<Record<string, string>> = {
  py_func: 'calls Python',
  listen_and_serv: 'listens on the network',
  send: 'sends tensors to another machine',
  recv: 'takes tensors from another machine',
};
const PATH = 'file_path';

/** A program of PaddlePaddle (`.pdmodel`, `__model__`): blocks, each with its index and that of its parent. */
export function isPaddle(piece: Piece): boolean {
  const block = outline(piece.source, 100)?.get(BLOCKS);
  if (block?.wire !== WIRE.bytes) return false;
  const wires = new Map<number, number>();
  try {
    for (const { number, wire } of fields(piece.source, block.start, block.end)) if (!wires.has(number)) wires.set(number, wire);
  } catch (error) {
    if (error instanceof NotProtobuf) return false;
    throw error;
  }
  const lists = [BLOCK.variables, BLOCK.operators].filter((number) => wires.has(number));
  return (
    wires.get(BLOCK.index) === WIRE.varint &&
    wires.get(BLOCK.parent) === WIRE.varint &&
    lists.length > 0 &&
    lists.every((number) => wires.get(number) === WIRE.bytes)
  );
}

/** Operators that read or write files, call Python or use the network, in every block. Parameters are files of their own, or pickles. */
export function scanPaddle(piece: Piece): void {
  const { source } = piece;
  try {
    for (const block of fields(source, 0, source.size)) {
      if (block.number !== BLOCKS || block.wire !== WIRE.bytes) continue;
      for (const operator of fields(source, block.start, block.end)) {
        piece.run.checkTime();
        if (operator.number === BLOCK.operators && operator.wire === WIRE.bytes) checkOperator(piece, operator);
      }
    }
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
    piece.report('protobuf-broken', error.message);
  }
}

function checkOperator(piece: Piece, operator: Field): void {
  let type = '';
  let path = '';
  for (const field of fields(piece.source, operator.start, operator.end)) {
    if (field.wire !== WIRE.bytes) continue;
    if (field.number === OPERATOR.type) type = textOf(piece.source, field);
    else if (field.number === OPERATOR.attributes) path = pathOf(piece, field) ?? path;
  }
  const effect = SUSPICIOUS[type];
  if (effect !== undefined) piece.report('paddle-suspicious', `the operator ${type} ${effect}`, operator.start);
  if (!FILES.has(type)) return;
  if (leaves(path)) piece.report('paddle-operation', `the operator ${type} uses the file ${quote(path)}`, operator.start);
  else piece.report('paddle-suspicious', `the operator ${type} uses the file ${quote(path)}`, operator.start);
}

function pathOf(piece: Piece, attribute: Field): string | null {
  let name = '';
  let text = '';
  for (const field of fields(piece.source, attribute.start, attribute.end)) {
    if (field.wire !== WIRE.bytes) continue;
    if (field.number === ATTRIBUTE.name) name = textOf(piece.source, field);
    else if (field.number === ATTRIBUTE.text) text = textOf(piece.source, field);
  }
  return name === PATH ? text : null;
}
