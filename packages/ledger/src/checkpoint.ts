import type { KeyObject } from 'node:crypto';
import { createPublicKey, sign, verify } from 'node:crypto';
import { fromBase64, keyIdOf, MalformedNote, type Note, type NoteSignature, parseNote } from './note.ts';

/** A log's tree head (c2sp.org/tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
}

/**
 * Signature types of c2sp.org/signed-note and c2sp.org/tlog-cosignature that we make or check: 1 Ed25519 over the note,
 * 4 Ed25519 cosignature with a time, 6 ML-DSA-44 cosignature with a time.
 */
export type SignatureType = 1 | 4 | 6;

interface Scheme {
  /** DER of SubjectPublicKeyInfo before the key's own bytes. */
  readonly spki: Buffer;
  readonly keyLength: number;
  readonly signatureLength: number;
  readonly timestamped: boolean;
  message(checkpoint: Checkpoint, text: string, name: string, seconds: number): Buffer;
}

const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const ML_DSA_44_SPKI = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');

const SCHEMES: ReadonlyMap<number, Scheme> = new Map<SignatureType, Scheme>([
  [1, { spki: ED25519_SPKI, keyLength: 32, signatureLength: 64, timestamped: false, message: (_c, text) => Buffer.from(text) }],
  [
    4,
    {
      spki: ED25519_SPKI,
      keyLength: 32,
      signatureLength: 64,
      timestamped: true,
      message: (_checkpoint, text, _name, seconds) => Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`),
    },
  ],
  [6, { spki: ML_DSA_44_SPKI, keyLength: 1312, signatureLength: 2420, timestamped: true, message: cosignedMessage }],
]);

/** `cosigned_message` of c2sp.org/tlog-cosignature for a whole tree: `start` is 0. */
function cosignedMessage(checkpoint: Checkpoint, _text: string, name: string, seconds: number): Buffer {
  return Buffer.concat([
    Buffer.from('subtree/v1\n\0'),
    shortOpaque(name),
    uint64(seconds),
    shortOpaque(checkpoint.origin),
    uint64(0),
    uint64(checkpoint.size),
    checkpoint.root,
  ]);
}

function shortOpaque(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > 255) throw new MalformedNote('a cosigned name is 1 to 255 bytes long');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** A public key under the name it signs with. */
export interface VerifierKey {
  readonly name: string;
  readonly keyId: number;
  readonly type: SignatureType;
  readonly publicKey: KeyObject;
}

/** Parses `name+hexid+base64(type ‖ key)`. @throws {MalformedNote} */
export function parseVerifierKey(vkey: string): VerifierKey {
  const [, name, id, material] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(vkey) ?? [];
  if (name === undefined || id === undefined || material === undefined) throw new MalformedNote('a verifier key is name+id+base64');
  const bytes = fromBase64(material);
  const type = bytes[0];
  const scheme = SCHEMES.get(type ?? -1);
  if (scheme === undefined || !isSignatureType(type)) throw new MalformedNote('the verifier key is of an unknown signature type');
  const raw = bytes.subarray(1);
  if (raw.length !== scheme.keyLength) throw new MalformedNote('the verifier key has the wrong length');
  const keyId = keyIdOf(name, type, raw);
  if (keyId !== Number.parseInt(id, 16)) throw new MalformedNote('the verifier key does not have the id that it states');
  return { name, keyId, type, publicKey: createPublicKey({ key: Buffer.concat([scheme.spki, raw]), format: 'der', type: 'spki' }) };
}

function isSignatureType(type: number | undefined): type is SignatureType {
  return type === 1 || type === 4 || type === 6;
}

function rawKey(type: SignatureType, publicKey: KeyObject): Buffer {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const scheme = SCHEMES.get(type);
  if (
    scheme === undefined ||
    der.length !== scheme.spki.length + scheme.keyLength ||
    !der.subarray(0, scheme.spki.length).equals(scheme.spki)
  ) {
    throw new MalformedNote('the public key is not of its signature type');
  }
  return der.subarray(scheme.spki.length);
}

export function formatVerifierKey(name: string, type: SignatureType, publicKey: KeyObject): string {
  const raw = rawKey(type, publicKey);
  const id = keyIdOf(name, type, raw).toString(16).padStart(8, '0');
  return `${name}+${id}+${Buffer.concat([Buffer.of(type), raw]).toString('base64')}`;
}

/** The note text: origin, size, root, a line each. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${checkpoint.root.toString('base64')}\n`;
}

/** Parses a note's text; extension lines are refused, as our logs have none. @throws {MalformedNote} */
export function parseCheckpoint(text: string): Checkpoint {
  const [, origin, digits, base64] = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n$/u.exec(text) ?? [];
  const size = Number(digits);
  if (origin === undefined || base64 === undefined || !Number.isSafeInteger(size)) {
    throw new MalformedNote('the checkpoint is not origin, size and root');
  }
  return { origin, size, root: fromBase64(base64) };
}

export interface SigningKey {
  readonly type: SignatureType;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Signs as `name`. `seconds` is POSIX time, used by the types that carry one. */
export function signCheckpoint(checkpoint: Checkpoint, name: string, key: SigningKey, seconds: number): NoteSignature {
  const scheme = SCHEMES.get(key.type);
  if (scheme === undefined) throw new MalformedNote('unknown signature type');
  const signature = sign(null, scheme.message(checkpoint, formatCheckpoint(checkpoint), name, seconds), key.privateKey);
  return {
    name,
    keyId: keyIdOf(name, key.type, rawKey(key.type, key.publicKey)),
    signature: scheme.timestamped ? Buffer.concat([uint64(seconds), signature]) : signature,
  };
}

/** A signature of a known key that holds. */
export interface GoodSignature {
  readonly key: VerifierKey;
  /** POSIX seconds, or null where the type carries no time. */
  readonly seconds: number | null;
}

export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly note: Note;
  readonly signatures: readonly GoodSignature[];
}

/**
 * Parses a checkpoint and verifies the signatures of `keys`; others are ignored. A signature by a known key that does not hold
 * spoils the whole note. The answer may hold no signature at all: which are needed is the caller's to say.
 * @throws {MalformedNote}
 */
export function openCheckpoint(text: string, keys: readonly VerifierKey[]): SignedCheckpoint {
  const note = parseNote(text);
  const checkpoint = parseCheckpoint(note.text);
  const signatures: GoodSignature[] = [];
  for (const signature of note.signatures) {
    const key = keys.find((candidate) => candidate.name === signature.name && candidate.keyId === signature.keyId);
    if (key === undefined) continue;
    signatures.push({ key, seconds: verifySignature(checkpoint, note.text, signature, key) });
  }
  return { checkpoint, note, signatures };
}

/** The time that the signature carries. @throws {MalformedNote} where it does not hold */
function verifySignature(checkpoint: Checkpoint, text: string, { name, signature }: NoteSignature, key: VerifierKey): number | null {
  const scheme = SCHEMES.get(key.type);
  const length = (scheme?.signatureLength ?? 0) + (scheme?.timestamped === true ? 8 : 0);
  if (scheme === undefined || signature.length !== length) throw new MalformedNote(`the signature of ${name} has the wrong length`);
  // A time beyond 2^53 is no time of ours; it becomes inexact here and then fails to verify.
  const seconds = scheme.timestamped ? Number(signature.readBigUInt64BE(0)) : 0;
  const bytes = scheme.timestamped ? signature.subarray(8) : signature;
  if (!Number.isSafeInteger(seconds) || !verify(null, scheme.message(checkpoint, text, name, seconds), key.publicKey, bytes)) {
    throw new MalformedNote(`the signature of ${name} does not hold`);
  }
  return scheme.timestamped ? seconds : null;
}
