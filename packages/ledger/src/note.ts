import { hash } from 'node:crypto';

/** A C2SP signed note (c2sp.org/signed-note): text that ends in a newline, and signatures over it. */
export interface Note {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  readonly name: string;
  /** Key ID, an unsigned 32-bit number. */
  readonly keyId: number;
  readonly signature: Buffer;
}

/** A note, checkpoint, key or proof that is not in its format. */
export class MalformedNote extends Error {
  override readonly name: string = 'MalformedNote';
}

/** The specification asks for at least 16; more only cost a reader time. */
const MAX_SIGNATURES = 32;
const MAX_NOTE_LENGTH = 1 << 18;

/** A line feed is the only control character a note may hold. */
const CONTROL = /[\x00-\x09\x0b-\x1f]/;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;

/** Strict: what parses formats back to the same text. @throws {MalformedNote} */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE_LENGTH) throw new MalformedNote('the note is too long');
  if (!note.isWellFormed() || CONTROL.test(note)) throw new MalformedNote('the note holds control characters or invalid Unicode');
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw new MalformedNote('the note has no signatures');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new MalformedNote('the note has too many signatures');
  return { text: note.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

/** @throws {MalformedNote} */
export function parseSignatureLine(line: string): NoteSignature {
  const match = SIGNATURE_LINE.exec(line);
  const [, name, base64] = match ?? [];
  if (name === undefined || base64 === undefined) throw new MalformedNote('a signature line is not "— name base64"');
  const bytes = fromBase64(base64);
  if (bytes.length <= 4) throw new MalformedNote('a signature is too short');
  return { name, keyId: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

/** One line, with its newline. */
export function formatSignatureLine({ name, keyId, signature }: NoteSignature): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId);
  return `\u2014 ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
}

export function formatNote(note: Note): string {
  return `${note.text}\n${note.signatures.map(formatSignatureLine).join('')}`;
}

/** Standard base64 with padding, exactly as an encoder writes it; Node's decoder alone would pass other spellings. @throws {MalformedNote} */
export function fromBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new MalformedNote('base64 is not canonical');
  return bytes;
}

/** SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4], big endian. */
export function keyIdOf(name: string, type: number, publicKey: Uint8Array): number {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), publicKey]), 'buffer').readUInt32BE(0);
}
