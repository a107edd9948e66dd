import { leaves } from '../archive/paths.ts';
import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { searchOpaque } from './opaque.ts';
import { isText } from './text.ts';

/** What may stand before the first declaration of a file of them, and cannot hold one: white space, the front of a conditional section, references. */
const BEFORE = /(?:\s|<!\[\s*(?:INCLUDE|%[\w.:-]+;)\s*\[|%[\w.:-]+;)+/iy;
const FIRST = /<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)\s|<!\[/iy;
const WORD = 10;
const DECLARATION = /<!(?:DOCTYPE|ENTITY)\s/i;
/** On one declaration, cut at its end and with its white space as single spaces. The address is the last literal; PUBLIC has a name before it. */
const EXTERNAL = /^<!(?:ENTITY|DOCTYPE) (?:% )?[^\s"'[]+ (?:SYSTEM|PUBLIC ?(?:"[^"]*"|'[^']*')) ?(?:"([^"]*)"|'([^']*)')/i;
const ENTITY = /^<!ENTITY (?:% )?([^\s"'[]+) (["'])(.*)\2 ?$/is;
/** The same, wherever it stands. */
const ANYWHERE = /<!ENTITY\s+(?:%\s+)?[^\s"'[]+\s+(?:SYSTEM|PUBLIC\s*(?:"[^"]*"|'[^']*'))\s*(?:"([^"]*)"|'([^']*)')/gi;
const PARAMETER = /^<!ENTITY % /i;
/** Sections in which a comment is none, or may be none: what seems to be in one may be a declaration. */
const SECTION = /<!\[(?!\s*(?:CDATA|INCLUDE)\s*\[)/i;
const REFERENCE = /[&%]([^\s&%;"'<>]+);/g;
const WINDOW = 2 ** 20;
const OVERLAP = 2048;
const EXTENSION = /\bversion\s?=\s?["']extension["']/;
const LIBRARY = /\blibrary\s{0,16}=\s{0,16}["']([^"']{0,1024})["']/gi;
/** Encodings in which the letters of markup are other bytes, and which are read here as if they were not. */
const HIDING = /^[^<]{0,3}<\?xml\s[^>]{0,200}\bencoding\s?=\s?["'](?:utf-?7|ebcdic|ibm|cp0|cp500)/i;
const XINCLUDE = 'http://www.w3.org/2001/XInclude';
/** With its attributes; none of them holds `<`. */
const INCLUDE = /<(?:[^\s<>:/]{1,64}:)?include(?=\s)((?:[^<>"']|"[^"<]*"|'[^'<]*')*)/g;
const HREF = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)')/;
const PLAIN: ReadonlySet<string> = new Set(['amp', 'lt', 'gt', 'quot', 'apos']);
/** Addresses of document types that real files declare without harm. */
const HARMLESS =
  /^(?:https?:\/\/(?:www\.w3\.org|www\.dmg\.org|(?:www|specifications)\.freedesktop\.org|(?:www|docs)\.oasis-open\.org|(?:www\.)?docbook\.org|docbook\.sourceforge\.net|www\.apple\.com\/DTDs)\/|urn:[a-z0-9][a-z0-9-]{1,31}:)/i;
/** Document types beside the document or in a catalogue that system files declare: the root and the address. */
const LOCAL: ReadonlySet<string> = new Set([
  'fontconfig fonts.dtd',
  'fontconfig ../fonts.dtd',
  'xkbConfigRegistry xkb.dtd',
  'feature gdb-target.dtd',
  'target gdb-target.dtd',
  'feature gdb-syscalls.dtd',
  'syscalls_info gdb-syscalls.dtd',
  'log4j:configuration log4j.dtd',
]);
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
  if (DECLARATION.test(head)) {
    checkDeclarations(piece, head);
    checkExpansion(piece, head);
  }
  if (HIDING.test(head)) piece.report('format-unsupported', 'XML in an encoding that hides its markup');
  const openvino = /<net\b/.test(head.slice(0, 4096));
  let includes = false;
  for (let base = 0; base < source.size; base += WINDOW) {
    piece.run.checkTime();
    const text = decode(source.read(base, WINDOW + OVERLAP), encoding);
    // From shortly before, so that none is cut in its first word.
    if (base + WINDOW >= DECLARATIONS && DECLARATION.test(text.slice(Math.max(0, DECLARATIONS - base - WORD))))
      piece.report('limit-document', 'declarations behind the first MiB', base);
    for (const match of text.matchAll(LIBRARY))
      if (/[\\/]|\.(so|dll|dylib)\b/i.test(match[1] ?? ''))
        piece.report('xml-library', `names the library ${quote(match[1] ?? '')}`, base + match.index);
    includes ||= text.includes(XINCLUDE) || (text.includes('&#') && characters(text).includes(XINCLUDE));
    if (includes) checkIncludes(piece, text, base);
    if (openvino && EXTENSION.test(text)) piece.report('xml-library', 'a layer of an extension library');
  }
  // A document that goes on as bytes is one for its front only.
  if (encoding === 'utf8' && !isText(piece)) await searchOpaque(piece);
}

function checkDeclarations(piece: Piece, head: string): void {
  for (const { text: declaration, start, end } of declarations(head)) {
    if (end === DECLARATIONS) piece.report('limit-document', 'a declaration reaches behind the first MiB', start);
    const address = EXTERNAL.exec(declaration);
    const where = address?.[1] ?? address?.[2];
    if (where !== undefined) checkAddress(piece, where, /^<!DOCTYPE ([^\s"'[]+)/i.exec(declaration)?.[1], start);
    else if (PARAMETER.test(declaration)) checkParameter(piece, ENTITY.exec(declaration)?.[3] ?? '', start);
  }
  if (SECTION.test(head)) checkAnywhere(piece, head, 0);
}

/** The text of a parameter entity is put among the declarations: one that holds the beginning of another writes it, in pieces perhaps. */
function checkParameter(piece: Piece, value: string, offset: number): void {
  const text = characters(characters(value));
  if (/<|\b(?:SYSTEM|PUBLIC)\b/.test(text) && !checkAnywhere(piece, text, offset))
    piece.report('xml-reference', 'an entity that writes declarations', offset);
}

/** Whether there was one. */
function checkAnywhere(piece: Piece, text: string, offset: number): boolean {
  let found = false;
  for (const match of text.matchAll(ANYWHERE)) {
    piece.run.spend(COST.attempt);
    found = true;
    checkAddress(piece, match[1] ?? match[2] ?? '', undefined, offset + match.index);
  }
  return found;
}

function characters(text: string): string {
  return text.replace(/&#(?:x([0-9a-f]{1,6})|(\d{1,7}));/gi, (whole, hexadecimal?: string, decimal?: string) => {
    const code = hexadecimal === undefined ? Number(decimal) : Number.parseInt(hexadecimal, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/**
 * What a parser would read. The text of an entity ends up in the document; a document type, of the root `type`, may declare entities itself,
 * and parsers that ask for it at all look beside the document or in a catalogue.
 */
function checkAddress(piece: Piece, where: string, type: string | undefined, offset: number): void {
  const isType = type !== undefined;
  if (HARMLESS.test(where) || (isType && LOCAL.has(`${type} ${where}`))) return;
  // What is escaped is told apart from a path by nobody before it is asked for.
  const inside = !leaves(where) && !where.includes('%');
  if (inside || (isType && /^https?:\/\/[\w.-]+\//i.test(where)))
    piece.report('xml-reference', `${isType ? 'a document type at' : 'an entity of'} ${quote(where)}`, offset);
  else piece.report('xml-external', `${isType ? 'a document type at' : 'an entity of'} ${quote(where)}`, offset);
}

/** Parsers include what lies outside the document where they are asked to. Parts beside it are how books are written. */
function checkIncludes(piece: Piece, text: string, base: number): void {
  for (const match of text.matchAll(INCLUDE)) {
    piece.run.spend(COST.attempt);
    const href = HREF.exec(match[1] ?? '');
    if (href === null) continue;
    const where = characters(href[1] ?? href[2] ?? '');
    if (/^https?:/i.test(where)) piece.report('xml-reference', `includes ${quote(where)}`, base + match.index);
    else if (leaves(where) || where.includes('%')) piece.report('xml-external', `includes ${quote(where)}`, base + match.index);
  }
}

/** Whether a file is a document or a file of declarations behind comments and instructions of any length. */
export function isDeclarations(piece: Piece, head: string): boolean {
  if (!/^\ufeff?\s*(?:<[!?]|%[\w.:-]+;)/.test(head)) return false;
  const { source } = piece;
  const text = decode(source.read(0, 2 * DECLARATIONS), encodingOf(source.read(0, 2))).slice(0, DECLARATIONS);
  for (let at = text.startsWith('\ufeff') ? 1 : 0; ; ) {
    BEFORE.lastIndex = FIRST.lastIndex = at;
    const close = text.startsWith('<!--', at) ? '-->' : text.startsWith('<?', at) ? '?>' : '';
    if (close !== '') {
      const end = text.indexOf(close, at + 2);
      // What follows may be anything.
      if (end < 0) return text.length === DECLARATIONS;
      at = end + close.length;
    } else if (BEFORE.test(text)) at = BEFORE.lastIndex;
    else return FIRST.test(text);
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
  const unclosed = new Set<string>();
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    let at = begin.lastIndex;
    const close = match[0] === '<!--' ? '-->' : match[0] === '<?' ? '?>' : '';
    if (close !== '') {
      const end = unclosed.has(close) ? -1 : text.indexOf(close, at);
      // Without its end it is none for the parsers that forgive it.
      if (end >= 0) begin.lastIndex = end + close.length;
      else unclosed.add(close);
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
