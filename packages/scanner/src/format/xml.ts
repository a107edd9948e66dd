import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

const DOCTYPE = /<!DOCTYPE\s/i;
const EXTERNAL = /<!(?:ENTITY|DOCTYPE)\s[^>[]*?\b(?:SYSTEM|PUBLIC)\s+(?:"([^"]*)"|'([^']*)')/gi;
const ENTITY = /<!ENTITY\s+(%\s+)?([\w.:-]+)\s+(?:"([^"]*)"|'([^']*)')\s*>/gi;
const REFERENCE = /[&%]([\w.:-]+);/g;
const LIBRARY = /\blibrary\s*=\s*["']([^"']*)["']/gi;
const PLAIN: ReadonlySet<string> = new Set(['amp', 'lt', 'gt', 'quot', 'apos']);
/** Document types that real files declare without harm. */
const HARMLESS = /^(?:-\/\/|https?:\/\/www\.w3\.org\/|http:\/\/www\.dmg\.org\/)/;
const DECLARATIONS = 2 ** 20;
const BOMB = 50;

/** PMML, OpenVINO and other XML: entities that leave the document or blow it up, libraries to be loaded. No entity is expanded. */
export function scanXml(piece: Piece): void {
  const { source } = piece;
  if (source.size > piece.limits.document) {
    piece.report('limit-document', `an XML document of ${source.size} bytes`);
    return;
  }
  const text = decode(source.read(0, source.size));
  const head = text.slice(0, DECLARATIONS);
  if (DOCTYPE.test(head)) {
    for (const match of head.matchAll(EXTERNAL)) {
      const where = match[1] ?? match[2] ?? '';
      if (!HARMLESS.test(where)) piece.report('xml-external', `an entity of ${quote(where)}`, match.index);
    }
    checkExpansion(piece, head);
  }
  for (const match of text.matchAll(LIBRARY))
    if (/[\\/]|\.(so|dll|dylib)\b/i.test(match[1] ?? ''))
      piece.report('xml-library', `names the library ${quote(match[1] ?? '')}`, match.index);
  if (/^[^<]*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)*<net\b/s.test(head) && /\bversion\s*=\s*["']extension["']/.test(text))
    piece.report('xml-library', 'a layer of an extension library');
}

function decode(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le', 2);
  if (bytes[0] === 0xfe && bytes[1] === 0xff)
    return Buffer.from(bytes.subarray(2, 2 + 2 * Math.floor((bytes.length - 2) / 2)))
      .swap16()
      .toString('utf16le');
  return bytes.toString('utf8');
}

/** The size each entity would expand to, from what it refers to; cycles and growth are bombs. */
function checkExpansion(piece: Piece, text: string): void {
  const sizes = new Map<string, number>();
  for (const match of text.matchAll(ENTITY)) {
    const value = match[3] ?? match[4] ?? '';
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
      piece.report('xml-expansion', `the entity ${quote(match[2] ?? '')} expands to ${size} characters`, match.index);
      return;
    }
  }
}
