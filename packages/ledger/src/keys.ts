import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { link, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '@sallyport/core';
import { type Checkpoint, formatCheckpoint, formatVerifierKey, type SigningKey, signCheckpoint } from './checkpoint.ts';
import { isCode, makeDirectory } from './files.ts';
import { formatNote, keyIdOf } from './note.ts';

/** What signs the checkpoints of an installation's logs. */
export interface LedgerSigner {
  /** Hex digits that name the installation in its logs' origins; taken from the Ed25519 key. */
  readonly fingerprint: string;
  /** Verifier keys (`name+id+base64`) of a log, the Ed25519 one first. */
  verifierKeys(origin: string): string[];
  /** The signed note. `seconds` is POSIX time. */
  sign(checkpoint: Checkpoint, seconds: number): string;
}

export interface LedgerKeys {
  readonly signer: LedgerSigner;
  /** Keys `Ledger.digest`. Destroying it makes every digest in the log meaningless, and changes no hash. */
  readonly digestKey: KeyObject;
}

/** A key file that others may read, or that is not what it should be. */
export class KeyFileError extends Error {
  override readonly name: string = 'KeyFileError';
}

/** Signs with every given key under the log's origin as its name, as c2sp.org/tlog-checkpoint asks. */
export function createSigner(keys: readonly SigningKey[]): LedgerSigner {
  const first = keys[0];
  if (first === undefined) throw new KeyFileError('a ledger needs at least one signing key');
  const material = first.publicKey.export({ type: 'spki', format: 'der' });
  return {
    fingerprint: keyIdOf('sallyport', first.type, material).toString(16).padStart(8, '0'),
    verifierKeys: (origin) => keys.map((key) => formatVerifierKey(origin, key.type, key.publicKey)),
    sign: (checkpoint, seconds) =>
      formatNote({
        text: formatCheckpoint(checkpoint),
        signatures: keys.map((key) => signCheckpoint(checkpoint, checkpoint.origin, key, seconds)),
      }),
  };
}

/**
 * Reads the keys of `directory`, creating what is missing: `ledger-ed25519.pem`, `ledger-ml-dsa-44.pem` and `ledger-digest.key`,
 * mode 0600. Safe to call from several processes at once: the first to create a key wins.
 * @throws {KeyFileError} where a key file is open to other users or is not a key
 */
export async function loadLedgerKeys(directory: string, random: Random): Promise<LedgerKeys> {
  await makeDirectory(directory);
  const ed25519 = await keyFile(join(directory, 'ledger-ed25519.pem'), random, () => pem(generateKeyPairSync('ed25519').privateKey));
  const mlDsa44 = await keyFile(join(directory, 'ledger-ml-dsa-44.pem'), random, () => pem(generateKeyPairSync('ml-dsa-44').privateKey));
  const digest = await keyFile(join(directory, 'ledger-digest.key'), random, () => `${Buffer.from(random.bytes(32)).toString('base64')}\n`);
  const secret = Buffer.from(digest.trim(), 'base64');
  if (secret.length !== 32) throw new KeyFileError('ledger-digest.key must hold 32 bytes in base64');
  return { signer: createSigner([signingKey(1, ed25519), signingKey(6, mlDsa44)]), digestKey: createSecretKey(secret) };
}

/**
 * The master key of sealed bodies, created where it is missing: `ledger-bodies.key`, mode 0600. Safe to call from several processes at once.
 * @throws {KeyFileError} as `loadLedgerKeys`
 */
export async function loadBodiesKey(directory: string, random: Random): Promise<KeyObject> {
  await makeDirectory(directory);
  const text = await keyFile(join(directory, 'ledger-bodies.key'), random, () => `${Buffer.from(random.bytes(32)).toString('base64')}\n`);
  return parseBodiesKey(text, 'ledger-bodies.key');
}

/**
 * The key that `text` is in base64. `source` says where it is from, for people.
 * @throws {KeyFileError} where it is not 32 bytes
 */
export function parseBodiesKey(text: string, source: string): KeyObject {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(trimmed)) throw new KeyFileError(`${source} must hold 32 bytes in base64: openssl rand -base64 32`);
  return createSecretKey(Buffer.from(trimmed, 'base64'));
}

/**
 * The cosigning keys of a witness, created where they are missing: `witness-ed25519.pem` and `witness-ml-dsa-44.pem`, mode 0600.
 * @throws {KeyFileError} as `loadLedgerKeys`
 */
export async function loadWitnessKeys(directory: string, random: Random): Promise<SigningKey[]> {
  await makeDirectory(directory);
  const ed25519 = await keyFile(join(directory, 'witness-ed25519.pem'), random, () => pem(generateKeyPairSync('ed25519').privateKey));
  const mlDsa44 = await keyFile(join(directory, 'witness-ml-dsa-44.pem'), random, () => pem(generateKeyPairSync('ml-dsa-44').privateKey));
  return [signingKey(4, ed25519), signingKey(6, mlDsa44)];
}

function signingKey(type: 1 | 4 | 6, text: string): SigningKey {
  const privateKey = createPrivateKey(text);
  const expected = type === 6 ? 'ml-dsa-44' : 'ed25519';
  if (privateKey.asymmetricKeyType !== expected) throw new KeyFileError(`a ledger signing key is not ${expected}`);
  return { type, privateKey, publicKey: createPublicKey(privateKey) };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The file's text. It is created whole under another name and then linked, so no reader sees half a key. */
async function keyFile(path: string, random: Random, create: () => string): Promise<string> {
  const present = await readKey(path);
  if (present !== null) return present;
  const draft = `${path}.${Buffer.from(random.bytes(8)).toString('hex')}.new`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(create());
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(draft);
  }
  const made = await readKey(path);
  if (made === null) throw new KeyFileError(`${path} could not be created`);
  return made;
}

async function readKey(path: string): Promise<string | null> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) throw new KeyFileError(`${path} is open to other users: chmod 600 ${path}`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}
