import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { link, lstat, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Random } from '@sallyport/core';
import { isCode, readIfPresent, replaceFile, syncDirectory } from './files.ts';

/*
 * Bodies that policy stores, outside the log and under a key of the person they concern. A sealed file is
 * 0x01 ‖ nonce (12) ‖ tag (16) ‖ ciphertext, AES-256-GCM; its associated data names what is sealed, so a file moved to another name
 * does not open. Subjects' names appear in no path.
 *
 *   <directory>/keys/<subject>         a subject's key, sealed under the master key
 *   <directory>/bodies/<subject>/<id>
 */

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
/** Tries to store a body while its subject is being forgotten. */
const ATTEMPTS = 5;
const ID = /^[A-Za-z0-9_-]{1,128}$/;

/** A sealed body that is damaged, or that does not belong where it lies. */
export class SealBroken extends Error {
  override readonly name: string = 'SealBroken';
}

export interface SealedBodiesOptions {
  readonly directory: string;
  /** 32 bytes; kept elsewhere than the bodies. */
  readonly masterKey: KeyObject;
  readonly random: Random;
}

/** Texts beside the ledger. `forget` makes all of one subject's unreadable, in every backup that lacks the key, and no entry changes. */
export class SealedBodies {
  readonly #options: SealedBodiesOptions;

  constructor(options: SealedBodiesOptions) {
    if (options.masterKey.symmetricKeySize !== 32) throw new RangeError('the master key of sealed bodies is 32 bytes');
    this.#options = options;
  }

  /** Stores `body` under `id` (an entry's id and part: `req_01JD-prompt`); durable on return. */
  async seal(subject: string, id: string, body: Uint8Array): Promise<void> {
    const path = this.#bodyPath(subject, id);
    for (let attempt = 1; ; attempt++) {
      try {
        const key = await this.#createKey(subject);
        if (key !== null) return await store(path, encrypt(key, body, this.#random(NONCE), `body ${this.#name(subject)} ${id}`));
        if (attempt >= ATTEMPTS) throw new SealBroken('the subject was forgotten while its key was made');
      } catch (error) {
        // The subject is being forgotten, or what is old removed: the directory is gone under us, and is made again.
        if (!isCode(error, 'ENOENT') || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  /** Whether there is anything of the subject: its key, or what an interrupted `forget` has left. */
  async knows(subject: string): Promise<boolean> {
    return (await this.#traces('keys', subject)).length + (await this.#traces('bodies', subject)).length > 0;
  }

  /** Null where there is no such body, or the subject was forgotten. @throws {SealBroken} */
  async open(subject: string, id: string): Promise<Buffer | null> {
    const sealed = await readIfPresent(this.#bodyPath(subject, id));
    const key = sealed === null ? null : await this.#readKey(subject);
    return sealed === null || key === null ? null : decrypt(key, sealed, `body ${this.#name(subject)} ${id}`);
  }

  /**
   * Destroys a subject's key, also in what a crash left of making it, then the bodies. Answers whether there was anything; may be called
   * again after it was interrupted. A later `seal` begins with a new key.
   */
  async forget(subject: string): Promise<boolean> {
    const keys = await this.#traces('keys', subject);
    for (const path of keys) await rm(path, { force: true });
    if (keys.length > 0) await syncDirectory(join(this.#options.directory, 'keys'));
    const bodies = await this.#traces('bodies', subject);
    for (const path of bodies) {
      // Under another name first: who seals meanwhile makes the directory anew, and does not fill this one.
      const gone = `${join(this.#options.directory, 'bodies', this.#name(subject))}.${this.#random(8).toString('hex')}`;
      await rename(path, gone).catch(onlyGone);
      await rm(gone, { recursive: true, force: true });
    }
    return keys.length + bodies.length > 0;
  }

  /** What there is of a subject: the file or directory of its name, and drafts and leavings whose names go on after a dot. */
  async #traces(kind: 'keys' | 'bodies', subject: string): Promise<string[]> {
    const directory = join(this.#options.directory, kind);
    const name = this.#name(subject);
    const found = (await namesIn(directory)).filter((entry) => entry === name || entry.startsWith(`${name}.`));
    return found.map((entry) => join(directory, entry));
  }

  /** Null where the subject was forgotten meanwhile. */
  async #createKey(subject: string): Promise<KeyObject | null> {
    const present = await this.#readKey(subject);
    if (present !== null) return present;
    const path = this.#keyPath(subject);
    const wrapped = encrypt(this.#options.masterKey, this.#random(32), this.#random(NONCE), `key ${this.#name(subject)}`);
    const draft = `${path}.${this.#random(8).toString('hex')}`;
    await store(draft, wrapped);
    try {
      // Of two that seal at once for a new subject, the first key stays.
      await link(draft, path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      await rm(draft, { force: true });
    }
    await syncDirectory(dirname(path));
    return this.#readKey(subject);
  }

  async #readKey(subject: string): Promise<KeyObject | null> {
    const wrapped = await readIfPresent(this.#keyPath(subject));
    return wrapped === null ? null : createSecretKey(decrypt(this.#options.masterKey, wrapped, `key ${this.#name(subject)}`));
  }

  #random(length: number): Buffer {
    return Buffer.from(this.#options.random.bytes(length));
  }

  /** HMAC of the subject's id: no person is named by a path. */
  #name(subject: string): string {
    return createHmac('sha256', this.#options.masterKey).update(`sealed subject ${subject}`).digest('hex');
  }

  #keyPath(subject: string): string {
    return join(this.#options.directory, 'keys', this.#name(subject));
  }

  #bodyPath(subject: string, id: string): string {
    if (!ID.test(id)) throw new RangeError('the id of a sealed body is 1 to 128 letters, digits, - and _');
    return join(this.#options.directory, 'bodies', this.#name(subject), id);
  }
}

/** The subject of what a principal asked and was answered. No two principals have the same, whatever their names hold. */
export function subjectOf(tenant: string, principal: string): string {
  return `${encodeURIComponent(tenant)}/${principal}`;
}

/**
 * Removes bodies that were stored before `before` (epoch milliseconds), by the times of their files; keys stay. Answers how many. Needs no
 * key, and works beside processes that seal.
 */
export async function expireBodies(directory: string, before: number): Promise<number> {
  const bodies = join(directory, 'bodies');
  let removed = 0;
  for (const subject of await namesIn(bodies)) {
    const own = join(bodies, subject);
    for (const name of await namesIn(own)) {
      const path = join(own, name);
      if ((await modifiedAt(path)) >= before) continue;
      await rm(path, { force: true });
      removed++;
    }
    await rmdir(own).catch((error: unknown) => {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].some((code) => isCode(error, code))) throw error;
    });
  }
  return removed;
}

function onlyGone(error: unknown): void {
  if (!isCode(error, 'ENOENT')) throw error;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Infinite where it is gone: a draft got its name meanwhile, or its subject was forgotten. */
async function modifiedAt(path: string): Promise<number> {
  try {
    return (await lstat(path)).mtimeMs;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** What a disk that is full has taken of it must not stay there. */
async function store(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await replaceFile(path, bytes);
  } catch (error) {
    await rm(`${path}.new`, { force: true }).catch(() => undefined);
    throw error;
  }
}

function encrypt(key: KeyObject, body: Uint8Array, nonce: Buffer, context: string): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const ciphertext = Buffer.concat([cipher.update(body), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), ciphertext]);
}

function decrypt(key: KeyObject, sealed: Buffer, context: string): Buffer {
  if (sealed[0] !== VERSION || sealed.length < 1 + NONCE + TAG) throw new SealBroken('the file is not a sealed body');
  const nonce = sealed.subarray(1, 1 + NONCE);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG }).setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(1 + NONCE, 1 + NONCE + TAG));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(1 + NONCE + TAG)), decipher.final()]);
  } catch (error) {
    throw new SealBroken('the sealed body was altered, moved, or sealed under another key', { cause: error });
  }
}
