import { leaves } from '../archive/paths.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { scanObjectHeaders } from './hdf5-objects.ts';
import { JsonError, parseJson } from './json.ts';
import { inspectKeras } from './keras.ts';

const WINDOW = 2 ** 20;
const OVERLAP = 256;
const CONFIG = Buffer.from('"class_name"', 'latin1');
const CONFIG_LIMIT = 32 * 2 ** 20;

/**
 * An HDF5 file as Keras writes it: the model's configuration is a JSON string somewhere in it, wherever attributes are kept; links and
 * storage outside the file are in the object headers.
 */
export async function scanHdf5(whole: Piece, userBlock: number = 0): Promise<void> {
  // Addresses count from the signature; what stands before it is the application's, and scanned by itself.
  const piece = whole.part(userBlock, whole.source.size);
  if (userBlock > 0) await whole.inside(whole.part(0, userBlock).source, `${whole.name}!user block`, 0, 'hidden').scan();
  await scanConfigs(piece);
  scanObjectHeaders(piece, (what, target) => {
    if (what === 'storage' || leaves(target) || what === 'link') piece.report('hdf5-external', `an external ${what}: ${quote(target)}`);
  });
}

async function scanConfigs(piece: Piece): Promise<void> {
  const { source } = piece;
  for (let base = 0; base < source.size; ) {
    piece.run.checkTime();
    const found = source.read(base, WINDOW + OVERLAP).indexOf(CONFIG);
    if (found < 0) {
      base += WINDOW;
      continue;
    }
    base = await scanConfig(piece, base + found);
  }
}

/** The JSON text around a position: from the first brace of the run of text it stands in. Gives where to go on. */
async function scanConfig(piece: Piece, position: number): Promise<number> {
  const { source } = piece;
  const before = source.read(Math.max(0, position - WINDOW), Math.min(position, WINDOW));
  let start = before.length;
  while (start > 0 && isJsonByte(before[start - 1] ?? 0)) start -= 1;
  const brace = before.indexOf(0x7b, start);
  const from = position - before.length + (brace < 0 ? before.length : brace);
  const bytes = source.read(from, CONFIG_LIMIT);
  let end = bytes.findIndex((byte) => !isJsonByte(byte));
  if (end < 0) end = bytes.length;
  const text = bytes.toString('utf8', 0, end);
  try {
    await inspectKeras(piece, parseJson(text.slice(0, text.lastIndexOf('}') + 1), { lenient: true, onDuplicate: () => undefined }), from);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (/"class_name"\s*:\s*"(?:Lambda|__lambda__)"/.test(text))
      piece.report('keras-lambda', 'a Lambda layer in a configuration that is not sound', from);
    else piece.report('json-broken', 'the model configuration is not sound JSON', from);
  }
  return Math.max(from + end, position + CONFIG.length);
}

function isJsonByte(byte: number): boolean {
  return byte >= 32 || byte === 9 || byte === 10 || byte === 13;
}
