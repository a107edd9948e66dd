import { carvePickles } from '../pickle/carve.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

const WINDOW = 2 ** 20;
const MODEL_DATA: readonly Buffer[] = [
  Buffer.from('GGUF\x03\0\0\0', 'latin1'),
  Buffer.from('GGUF\x02\0\0\0', 'latin1'),
  Buffer.from('ggjt', 'latin1'),
];

/** Programs and libraries of any system: ELF, PE, Mach-O, and the polyglot that llamafile is (Actually Portable Executable). */
export function isNative(piece: Piece, head: Buffer): boolean {
  if (head.length < 8) return false;
  const word = head.readUInt32BE(0);
  if (word === 0x7f454c46 && (head[4] === 1 || head[4] === 2)) return true;
  if (isApe(head)) return true;
  if (word === 0xfeedface || word === 0xfeedfacf || word === 0xcefaedfe || word === 0xcffaedfe) return true;
  // A class file of Java begins like a universal binary: its version, 45 and more, stands where the number of architectures does.
  if (word === 0xcafebabe && head.readUInt32BE(4) < 45) return true;
  if (head[0] !== 0x4d || head[1] !== 0x5a || head.length < 64) return false;
  return piece.source.read(head.readUInt32LE(0x3c), 4).toString('latin1') === 'PE\0\0';
}

function isApe(head: Buffer): boolean {
  if (head[0] !== 0x4d && head[0] !== 0x6a && head[0] !== 0x41) return false;
  const magic = head.toString('latin1', 0, 7);
  return magic === 'MZqFpD=' || magic === 'jartsr=' || magic === 'APEDBG=';
}

/** Native code cannot be judged by reading it. A program that carries a model is one that runs on being opened. */
export async function scanNative(piece: Piece): Promise<void> {
  const { source } = piece;
  const model = findModel(piece);
  if (model !== null || isApe(source.read(0, 8))) {
    piece.report('native-program', 'a program that carries a model (llamafile)');
    if (model !== null) await piece.inside(piece.part(model, source.size).source, `${piece.name}!gguf`, model, 'hidden').scan();
  } else piece.report('native-code', 'native code');
  carvePickles(piece, 0, source.size, 'bytes of a program');
}

function findModel(piece: Piece): number | null {
  for (let base = 0; base < piece.source.size; base += WINDOW) {
    piece.run.checkTime();
    const window = piece.source.read(base, WINDOW + 8);
    for (const magic of MODEL_DATA) {
      const at = window.indexOf(magic);
      if (at >= 0) return base + at;
    }
  }
  return null;
}

/** The end of a library's name; where it begins is looked for from there, so that a long run of letters costs nothing. */
const LIBRARY_END = /\.(?:so|dll|dylib)\b|\bdlopen\b/;
const PATH_START = /[\w./\\-]{0,200}$/;
const SAMPLE = 16 * 2 ** 20;

/** A TensorRT engine is compiled code for one device: nothing in it can be checked, and a plugin is a library beside it. */
export function scanEngine(piece: Piece): void {
  const text = piece.source.read(0, Math.min(SAMPLE, piece.source.size)).toString('latin1');
  const library = LIBRARY_END.exec(text);
  if (library !== null) {
    const before = PATH_START.exec(text.slice(Math.max(0, library.index - 200), library.index))?.[0] ?? '';
    piece.report('native-code', `the engine names the library ${quote(before + library[0])}`, library.index - before.length);
  }
  piece.report('format-unsupported', 'a TensorRT engine is native code, which cannot be judged by reading it');
}
