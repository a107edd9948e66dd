import { leaves } from '../archive/paths.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { searchOpaque } from './opaque.ts';
import { isText } from './text.ts';

const DOCTYPE = /<!DOCTYPE\s/i;
/** A file of declarations alone: what a document type leads to. */
const DECLARED = /^\ufeff?(?:\s+|<\?[^>]*>|<!--(?:[^-]|-(?!->))*-->)*<!(?:ENTITY|ELEMENT|ATTLIST|NOTATION)\s/i;
const WORD = 10;
const DECLARATION = /<!(?:DOCTYPE|ENTITY)\s/i;
/** On one declaration, cut at its end and with its white space as single spaces. The address is the last literal; PUBLIC has a name before it. */
const EXTERNAL = /^<!(?:ENTITY|DOCTYPE) (?:% )?[^\s"'[]+ (?:SYSTEM|PUBLIC ?(?:"[^"]*"|'[^']*')) ?(?:"([^"]*)"|'([^']*)')/i;
const ENTITY = /^<!ENTITY (?:% )?([^\s"'[]+) (["'])(.*)\2 ?$/is;
const REFERENCE = /[&%]([^\s&%;"'<>]+);/g;
const HEAD = 4096;
const WINDOW = 2 ** 20;
const OVERLAP = 2048;
const EXTENSION = /\bversion\s?=\s?["']extension["']/;
const LIBRARY = /\blibrary\s{0,16}=\s{0,16}["']([^"']{0,1024})["']/gi;
const PLAIN: ReadonlySet<string> = new Set(['amp', 'lt', 'gt', 'quot', 'apos']);
/** Addresses of document types that real files declare without harm. */
const HARMLESS =
  /^(?:https?:\/\/(?:www\.w3\.org|www\.dmg\.org|(?:www|specifications)\.freedesktop\.org|(?:www|docs)\.oasis-open\.org|(?:www\.)?docbook\.org|docbook\.sourceforge\.net|www\.apple\.com\/DTDs)\/|urn:[a-z0-9][a-z0-9-]{1,31}:)/i;
const DECLARATIONS = 2 ** 20;
const BOMB = 50;
/** Entities refer to earlier and to later ones; each pass follows one step more, and a bomb has grown past any bound long before. */
const PASSES = 20;

/**
 * PMML, OpenVINO and other XML: entities that leave the document or blow it up, libraries to be loaded. No entity is expanded. Declarations
 * stand at the front; the rest, a forest of gigabytes perhaps, is read in windows.
 */
export async function scanXml(piece: Piece): Promise<void> {
  const { source } = piece;
  const encoding = encodingOf(source.read(0, 2));
  const head = decode(source.read(0, 2 * DECLARATIONS), encoding).slice(0, DECLARATIONS);
  if (DOCTYPE.test(head) || isDeclarations(head.slice(0, HEAD))) {
    for (const { text: declaration, start, end } of declarations(head)) {
      if (end === DECLARATIONS) piece.report('limit-document', 'a declaration reaches behind the first MiB', start);
      const address = EXTERNAL.exec(declaration);
      const where = address?.[1] ?? address?.[2];
      if (where !== undefined) checkAddress(piece, where, /^<!DOCTYPE/i.test(declaration), start);
    }
    checkExpansion(piece, head);
  }
  const openvino = /<net\b/.test(head.slice(0, 4096));
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const text = decode(source.read(base, WINDOW + OVERLAP), encoding);
    // From shortly before, so that none is cut in its first word.
    if (base + WINDOW >= DECLARATIONS && DECLARATION.test(text.slice(Math.max(0, DECLARATIONS - base - WORD))))
      piece.report('limit-document', 'declarations behind the first MiB', base);
    for (const match of text.matchAll(LIBRARY))
      if (/[\\/]|\.(so|dll|dylib)\b/i.test(match[1] ?? ''))
        piece.report('xml-library', `names the library ${quote(match[1] ?? '')}`, base + match.index);
    if (openvino && EXTENSION.test(text)) piece.report('xml-library', 'a layer of an extension library');
  }
  // A document that goes on as bytes is one for its front only.
  if (encoding === 'utf8' && !isText(piece)) await searchOpaque(piece);
}

/**
 * What a parser would read. The text of an entity ends up in the document; a document type only says what is valid, and parsers that ask for
 * it at all look beside the document or in a catalogue.
 */
function checkAddress(piece: Piece, where: string, isType: boolean, offset: number): void {
  if (HARMLESS.test(where)) return;
  // What is escaped is told apart from a path by nobody before it is asked for.
  const inside = !leaves(where) && !where.includes('%');
  if (isType && inside) return;
  if (inside || (isType && /^https?:\/\/[\w.-]+\//i.test(where)))
    piece.report('xml-reference', `${isType ? 'a document type at' : 'an entity of'} ${quote(where)}`, offset);
  else piece.report('xml-external', `${isType ? 'a document type at' : 'an entity of'} ${quote(where)}`, offset);
}

/** Whether a text is made of declarations, comments apart. */
export function isDeclarations(head: string): boolean {
  return DECLARED.test(head);
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

/** The size each entity would expand to, from what it refers to, before or after it; cycles and growth are bombs. */
function checkExpansion(piece: Piece, text: string): void {
  const entities: { readonly name: string; readonly length: number; readonly references: readonly string[]; readonly start: number }[] = [];
  for (const { text: declaration, start } of declarations(text)) {
    const [, name, , value] = ENTITY.exec(declaration) ?? [];
    if (name === undefined || value === undefined) continue;
    const references = [...value.matchAll(REFERENCE)].map((match) => match[1] ?? '').filter((other) => !PLAIN.has(other));
    entities.push({ name, length: value.length, references, start });
  }
  const sizes = new Map(entities.map(({ name, length }) => [name, length]));
  for (let pass = 0, grown = true; grown && pass < PASSES; pass += 1) {
    grown = false;
    piece.run.checkTime();
    for (const { name, length, references, start } of entities) {
      if (references.length === 0) continue;
      let size = length;
      for (const other of references) size += other === name ? Number.POSITIVE_INFINITY : (sizes.get(other) ?? 0);
      if (size > BOMB * Math.max(1, length / 10)) {
        piece.report('xml-expansion', `the entity ${quote(name)} expands to ${size} characters`, start);
        return;
      }
      grown ||= size !== sizes.get(name);
      sizes.set(name, size);
    }
  }
}

/**
 * Each `<!ENTITY …` and `<!DOCTYPE …`, up to the bracket that ends or opens it outside quotes, white space made single; read once from front
 * to back. Comments, instructions and other declarations are passed over whole: quotes in them are none of these.
 */
function* declarations(text: string): Generator<{ readonly text: string; readonly start: number; readonly end: number }> {
  const begin = /<!--|<\?|<!(?:ENTITY|DOCTYPE|ELEMENT|ATTLIST|NOTATION)\s/gi;
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    let at = begin.lastIndex;
    const close = match[0] === '<!--' ? '-->' : match[0] === '<?' ? '?>' : '';
    if (close !== '') {
      const end = text.indexOf(close, at);
      if (end < 0) return;
      begin.lastIndex = end + close.length;
      continue;
    }
    for (let quoted = ''; at < text.length; at += 1) {
      const character = text[at] ?? '';
      if (quoted !== '') quoted = character === quoted ? '' : quoted;
      else if (character === '"' || character === "'") quoted = character;
      else if (character === '>' || character === '[') break;
    }
    if (/^<!(?:ENTITY|DOCTYPE)/i.test(match[0]))
      yield { text: text.slice(match.index, at).replace(/\s+/g, ' '), start: match.index, end: at };
    begin.lastIndex = at;
  }
}
