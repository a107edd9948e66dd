import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { fields, NotProtobuf, outline, textOf, WIRE } from './protobuf.ts';

/** Model.proto: a custom model, and the neural networks whose layers may be custom (NeuralNetwork.proto). */
const CUSTOM_MODEL = 555;
const NETWORKS: ReadonlySet<number> = new Set([303, 403, 500]);
const LAYER = 1;
const CUSTOM_LAYER = 500;
const CLASS_NAME = 10;

/** A Core ML model: a version, a description, and one field of 200 or more for what kind of model it is. */
export function isCoreMl(piece: Piece): boolean {
  const found = outline(piece.source, 64);
  return (
    found !== null &&
    found.get(1)?.wire === WIRE.varint &&
    found.get(2)?.wire === WIRE.bytes &&
    [...found.keys()].some((number) => number >= 200 && number < 4000)
  );
}

/** Custom models and layers: classes of the application that runs it. Everything else is arithmetic. */
export function scanCoreMl(piece: Piece): void {
  const { source } = piece;
  try {
    for (const field of fields(source, 0, source.size)) {
      if (field.number === CUSTOM_MODEL) piece.report('onnx-custom-operator', 'a custom Core ML model', field.start);
      if (!NETWORKS.has(field.number) || field.wire !== WIRE.bytes) continue;
      for (const layer of fields(source, field.start, field.end)) {
        piece.run.checkTime();
        if (layer.number === LAYER && layer.wire === WIRE.bytes) checkLayer(piece, layer.start, layer.end);
      }
    }
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
    piece.report('protobuf-broken', error.message);
  }
}

function checkLayer(piece: Piece, start: number, end: number): void {
  for (const field of fields(piece.source, start, end)) {
    if (field.number !== CUSTOM_LAYER || field.wire !== WIRE.bytes) continue;
    for (const inner of fields(piece.source, field.start, field.end))
      if (inner.number === CLASS_NAME)
        piece.report('onnx-custom-operator', `a Core ML layer of the class ${quote(textOf(piece.source, inner))}`, start);
  }
}
