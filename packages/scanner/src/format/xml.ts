import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

const DOCTYPE = /<!DOCTYPE\s/i;
/** On one declaration, cut at its end: nothing here can run over what follows. */
const EXTERNAL = /^<!(?:ENTITY|DOCTYPE)\s[^"'[]{0,512}?\b(?:SYSTEM|PUBLIC)\s{1,64}(["'])(.*?)\1/is;
const ENTITY = /^<!ENTITY\s{1,64}(%\s{1,64})?([\w.:-]{1,256})\s{1,64}(["'])(.*)\3\s{0,64}$/is;
const REFERENCE = /[&%]([\w.:-]+);/g;
const WINDOW = 2 ** 20;
const OVERLAP = 2048;
const EXTENSION = /\bversion\s?=\s?["']extension["']/;
const LIBRARY = /\blibrary\s{0,16}=\s{0,16}["']([^"']{0,1024})["']/gi;
const PLAIN: ReadonlySet<string> = new Set(['amp', 'lt', 'gt', 'quot', 'apos']);
/** Document types that real files declare without harm. */
const HARMLESS = /^(?:-\/\/|https?:\/\/www\.w3\.org\/|http:\/\/www\.dmg\.org\/)/;
const DECLARATIONS = 2 ** 20;
const BOMB = 50;

/**
 * PMML, OpenVINO and other XML: entities that leave the document or blow it up, libraries to be loaded. No entity is expanded. Declarations
 * stand at the front; the rest, a forest of gigabytes perhaps, is read in windows.
 */
export function scanXml(piece: Piece): void {
  const { source } = piece;
  const encoding = encodingOf(source.read(0, 2));
  const head = decode(source.read(0, 2 * DECLARATIONS), encoding).slice(0, DECLARATIONS);
  if (DOCTYPE.test(head)) {
    for (const { text: declaration, start } of declarations(head)) {
      const where = EXTERNAL.exec(declaration)?.[2];
      if (where !== undefined && !HARMLESS.test(where)) piece.report('xml-external', `an entity of ${quote(where)}`, start);
    }
    checkExpansion(piece, head);
  }
  const openvino = /<net\b/.test(head.slice(0, 4096));
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const text = decode(source.read(base, WINDOW + OVERLAP), encoding);
    for (const match of text.matchAll(LIBRARY))
      if (/[\\/]|\.(so|dll|dylib)\b/i.test(match[1] ?? ''))
        piece.report('xml-library', `names the library ${quote(match[1] ?? '')}`, base + match.index);
    if (openvino && EXTENSION.test(text)) piece.report('xml-library', 'a layer of an extension library');
  }
}

type Encoding = 'utf8' | 'utf16le' | 'utf16be';

function encodingOf(bytes: Buffer): Encoding {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf16be' : 'utf8';
}

function decode(bytes: Buffer, encoding: Encoding): string {
  if (encoding !== 'utf16be') return bytes.toString(encoding);
  return Buffer.from(bytes.subarray(0, 2 * Math.floor(bytes.length / 2)))
    .swap16()
    .toString('utf16le');
}

/** The size each entity would expand to, from what it refers to; cycles and growth are bombs. */
function checkExpansion(piece: Piece, text: string): void {
  const sizes = new Map<string, number>();
  for (const { text: declaration, start } of declarations(text)) {
    const match = ENTITY.exec(declaration);
    if (match === null) continue;
    const value = match[4] ?? '';
    let size = value.length;
    let nested = false;
    for (const reference of value.matchAll(REFERENCE)) {
      const name = reference[1] ?? '';
      if (PLAIN.has(name)) continue;
      nested = true;
      size += sizes.get(name) ?? (name === match[2] ? Number.POSITIVE_INFINITY : 0);
    }
    sizes.set(match[2] ?? '', size);
    if (nested && size > BOMB * Math.max(1, value.length / 10)) {
      piece.report('xml-expansion', `the entity ${quote(match[2] ?? '')} expands to ${size} characters`, start);
      return;
    }
  }
}

/** Each `<!ENTITY …` and `<!DOCTYPE …`, up to the bracket that ends or opens it outside quotes; read once from front to back. */
function* declarations(text: string): Generator<{ readonly text: string; readonly start: number }> {
  const begin = /<!(?:ENTITY|DOCTYPE)\s/gi;
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    let at = begin.lastIndex;
    for (let quoted = ''; at < text.length; at += 1) {
      const character = text[at] ?? '';
      if (quoted !== '') quoted = character === quoted ? '' : quoted;
      else if (character === '"' || character === "'") quoted = character;
      else if (character === '>' || character === '[') break;
    }
    yield { text: text.slice(match.index, at), start: match.index };
    begin.lastIndex = at;
  }
}
