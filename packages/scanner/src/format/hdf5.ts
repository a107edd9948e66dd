import { LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import type { ByteSource } from '../source.ts';
import { scanObjectHeaders } from './hdf5-objects.ts';
import { JsonError, parseJson } from './json.ts';
import { inspectKeras } from './keras.ts';
import { searchOpaque } from './opaque.ts';

const WINDOW = 2 ** 20;
const OVERLAP = 256;
const CONFIG = Buffer.from('"class_name"', 'latin1');
const CONFIG_LIMIT = 16 * 2 ** 20;
const STEP = 4096;
/** A file holds one configuration, or one more for its optimiser. */
const CONFIGS = 256;

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
    piece.report('hdf5-external', `an external ${what}: ${quote(target)}`);
  });
  const end = endAddress(piece.source);
  if (end < piece.source.size) await searchOpaque(piece.part(end, piece.source.size));
}

/** Where the superblock says that the file ends; behind it the library reads nothing (HDF5 File Format 3.0, II.A). */
function endAddress(source: ByteSource): number {
  const block = source.read(0, 64);
  const version = block[8] ?? 0;
  const at = version === 0 ? 40 : version === 1 ? 44 : 28;
  const offsetSize = block[version < 2 ? 13 : 9];
  if (block.length < at + 8 || version > 3 || offsetSize !== 8) return source.size;
  // Counted from the front of the file, user block and all, which the base address is the size of.
  const end = Number(block.readBigUInt64LE(at)) - Number(block.readBigUInt64LE(at - 16));
  return end >= at ? Math.min(end, source.size) : source.size;
}

async function scanConfigs(piece: Piece): Promise<void> {
  const { source } = piece;
  let floor = 0;
  let count = 0;
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const window = source.read(base, WINDOW + OVERLAP);
    for (let at = window.indexOf(CONFIG); at >= 0 && at < WINDOW; at = window.indexOf(CONFIG, Math.max(at + 1, floor - base))) {
      count += 1;
      if (count > CONFIGS) throw new LimitReached('limit-entries', `more than ${CONFIGS} configurations in one file`);
      floor = await scanConfig(piece, base + at, Math.max(floor, base + at - WINDOW));
      if (floor >= base + WINDOW) break;
    }
  }
}

/** The JSON text around a position: from the first brace of the run of text it stands in. Gives where to go on. */
async function scanConfig(piece: Piece, position: number, floor: number): Promise<number> {
  const { source } = piece;
  const start = textStart(source, position, floor);
  const end = textEnd(source, position, Math.min(source.size, start + CONFIG_LIMIT));
  const bytes = source.read(start, end - start);
  const brace = bytes.indexOf(0x7b);
  const from = start + (brace < 0 ? 0 : brace);
  const text = bytes.toString('utf8', from - start);
  try {
    const document = parseJson(text.slice(0, text.lastIndexOf('}') + 1), { lenient: true, onDuplicate: () => undefined });
    await inspectKeras(piece, document, from, 'CVE-2025-9905');
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (/"class_name"\s*:\s*"(?:Lambda|__lambda__)"/.test(text))
      piece.report('keras-lambda', 'a Lambda layer in a configuration that is not sound', from, 'CVE-2025-9905');
    else piece.report('json-broken', 'the model configuration is not sound JSON', from);
  }
  return Math.max(end, position + CONFIG.length);
}

/** Where the run of text begins that holds `position`, `floor` at the earliest: what came before has been read already. */
function textStart(source: ByteSource, position: number, floor: number): number {
  for (let at = position; at > floor; ) {
    const length = Math.min(STEP, at - floor);
    const before = source.read(at - length, length);
    for (let index = length - 1; index >= 0; index -= 1) if (!isJsonByte(before[index] ?? 0)) return at - length + index + 1;
    at -= length;
  }
  return floor;
}

function textEnd(source: ByteSource, position: number, limit: number): number {
  for (let at = position; at < limit; at += STEP) {
    const after = source.read(at, Math.min(STEP, limit - at));
    const stop = after.findIndex((byte) => !isJsonByte(byte));
    if (stop >= 0) return at + stop;
  }
  return limit;
}

function isJsonByte(byte: number): boolean {
  return byte >= 32 || byte === 9 || byte === 10 || byte === 13;
}
