import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto';
import type { Random, SealedPrompt } from '@sallyport/core';

/** Which use of the pepper this is (RFC 5869, `info`), and of which version. */
const KEY_PURPOSE = 'sallyport system prompts 1';
const NONCE = 12;
const TAG = 16;

/**
 * A system prompt as it is kept and as it travels in snapshots: AES-256-GCM (NIST SP 800-38D) under a key derived from the pepper, which is in no
 * database. Name and version are authenticated with it: a row put in another's place does not open.
 */
export function sealPrompt(pepper: KeyObject, random: Random, name: string, version: number, text: string): SealedPrompt {
  const nonce = random.bytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', keyOf(pepper), nonce);
  cipher.setAAD(labelOf(name, version));
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { name, version, sealed: sealed.toString('base64url') };
}

/** The text, or null where it was sealed by another installation, for another name, or was changed. */
export function openPrompt(pepper: KeyObject, { name, version, sealed }: SealedPrompt): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < NONCE + TAG) return null;
  const decipher = createDecipheriv('aes-256-gcm', keyOf(pepper), bytes.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(labelOf(name, version));
  decipher.setAuthTag(bytes.subarray(-TAG));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]).toString('utf8');
  } catch {
    return null; // not authentic: the caller says what becomes of it
  }
}

function keyOf(pepper: KeyObject): Buffer {
  return Buffer.from(hkdfSync('sha256', pepper, new Uint8Array(0), KEY_PURPOSE, 32));
}

function labelOf(name: string, version: number): Buffer {
  return Buffer.from(`${name}\0${version}`);
}
