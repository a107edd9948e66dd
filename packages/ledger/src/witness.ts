import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Random } from '@sallyport/core';
import {
  type Checkpoint,
  formatVerifierKey,
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  type SignedCheckpoint,
  type SigningKey,
  signCheckpoint,
  type VerifierKey,
} from './checkpoint.ts';
import { COSIGNED, logDirectory, makeDirectory, readIfPresent, replaceFile } from './files.ts';
import { LogLock } from './lock.ts';
import { emptyRoot, verifyConsistency } from './merkle.ts';
import { formatNote, formatSignatureLine, fromBase64, MalformedNote, parseNote, parseSignatureLine } from './note.ts';
import { proveConsistency } from './proof.ts';

/** An answer of c2sp.org/tlog-witness `add-checkpoint`. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly contentType: 'text/plain; charset=utf-8' | 'text/x.tlog.size';
  readonly body: string;
}

export interface WitnessOptions {
  /** Where it remembers the newest checkpoint of each log. */
  readonly directory: string;
  /** Its key name: a URL without scheme. */
  readonly name: string;
  /** Cosigning keys, of type 4 or 6. */
  readonly keys: readonly SigningKey[];
  /** Verifier keys of the logs it watches; a key's name is its log's origin. */
  readonly logs: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_BODY = 1 << 18;
const MAX_PROOF = 63;

/**
 * A witness (c2sp.org/tlog-witness): cosigns a checkpoint only if the log merely grew since the one it cosigned before. It belongs on
 * another machine than the log; who serves it puts `addCheckpoint` behind POST <prefix>/add-checkpoint.
 */
export class Witness implements AsyncDisposable {
  readonly #options: WitnessOptions;
  readonly #logs: readonly VerifierKey[];
  readonly #lock: LogLock;
  /** The end of the queue: checking and remembering is one act, so requests are taken one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: WitnessOptions, lock: LogLock) {
    this.#options = options;
    this.#logs = options.logs.map(parseVerifierKey);
    this.#lock = lock;
  }

  /** @throws {LogLocked} another process is this witness · {RangeError} a key cannot cosign */
  static async open(options: WitnessOptions): Promise<Witness> {
    if (options.keys.length === 0 || options.keys.some(({ type }) => type === 1))
      throw new RangeError('a witness signs with keys of type 4 or 6');
    await makeDirectory(options.directory);
    return new Witness(options, await LogLock.acquire(options.directory, options.random));
  }

  /** What clients are configured with. */
  verifierKeys(): string[] {
    return this.#options.keys.map(({ type, publicKey }) => formatVerifierKey(this.#options.name, type, publicKey));
  }

  /** `body` is a stranger's: nothing authenticates it but the log's signature on the checkpoint. */
  addCheckpoint(body: string): Promise<WitnessAnswer> {
    const answer = this.#queue.then(() => this.#add(body));
    this.#queue = answer.catch(() => {});
    return answer;
  }

  /** The newest cosigned checkpoint of a log, for GET <prefix>/<sha-256 of the origin>/checkpoint; null where there is none. */
  async newest(origin: string): Promise<string | null> {
    return (await readIfPresent(this.#path(origin)))?.toString() ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    await this.#lock.release();
  }

  async #add(body: string): Promise<WitnessAnswer> {
    const request = parseRequest(body);
    if (request === null) return text(400, 'the request is not in the format of c2sp.org/tlog-witness');
    const { checkpoint } = request;
    const keys = this.#logs.filter(({ name }) => name === checkpoint.origin);
    if (keys.length === 0) return text(404, 'the log is not known here');
    const signed = verify(request.note, keys);
    if (signed === null || signed.signatures.length === 0) return text(403, 'the checkpoint is not signed by a trusted key of the log');
    if (request.old > checkpoint.size) return text(400, 'the old size is larger than the checkpoint');
    const latest = await this.#latest(checkpoint.origin);
    // Of one size there is one tree.
    const isFork = checkpoint.size === latest.size && !checkpoint.root.equals(latest.root);
    if (request.old !== latest.size || isFork) return { status: 409, contentType: 'text/x.tlog.size', body: `${latest.size}\n` };
    if (!verifyConsistency(latest, checkpoint, request.proof))
      return text(422, 'the checkpoint does not continue the one that was cosigned before');
    return this.#cosign(signed);
  }

  /** Remembers before it answers. */
  async #cosign({ checkpoint, note, signatures }: SignedCheckpoint): Promise<WitnessAnswer> {
    const seconds = Math.floor(this.#options.clock.now() / 1000);
    const mine = this.#options.keys.map((key) => signCheckpoint(checkpoint, this.#options.name, key, seconds));
    const theirs = note.signatures.filter(({ name, keyId }) => signatures.some(({ key }) => key.name === name && key.keyId === keyId));
    await replaceFile(this.#path(checkpoint.origin), formatNote({ text: note.text, signatures: [...theirs, ...mine] }));
    return text(200, mine.map(formatSignatureLine).join(''));
  }

  async #latest(origin: string): Promise<Checkpoint> {
    const note = await this.newest(origin);
    return note === null ? { origin, size: 0, root: emptyRoot() } : parseCheckpoint(parseNote(note).text);
  }

  #path(origin: string): string {
    return join(this.#options.directory, hash('sha256', origin, 'hex'));
  }
}

function text(status: WitnessAnswer['status'], body: string): WitnessAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: body.endsWith('\n') ? body : `${body}\n` };
}

function verify(note: string, keys: readonly VerifierKey[]): SignedCheckpoint | null {
  try {
    return openCheckpoint(note, keys);
  } catch (error) {
    if (error instanceof MalformedNote) return null;
    throw error;
  }
}

interface WitnessRequest {
  readonly old: number;
  readonly proof: readonly Buffer[];
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

function parseRequest(body: string): WitnessRequest | null {
  if (body.length > MAX_BODY) return null;
  const end = body.indexOf('\n\n');
  const [first, ...lines] = body.slice(0, Math.max(0, end)).split('\n');
  const [, digits] = /^old (0|[1-9][0-9]{0,15})$/.exec(first ?? '') ?? [];
  if (digits === undefined || lines.length > MAX_PROOF) return null;
  const note = body.slice(end + 2);
  try {
    const proof = lines.map(fromBase64);
    if (proof.some((hashBytes) => hashBytes.length !== 32)) return null;
    return { old: Number(digits), proof, note, checkpoint: parseCheckpoint(parseNote(note).text) };
  } catch (error) {
    if (error instanceof MalformedNote) return null;
    throw error;
  }
}

/** How a log reaches a witness: sends a body to its `add-checkpoint` and answers status and body. The transport is the caller's. */
export type SubmitCheckpoint = (body: string) => Promise<{ readonly status: number; readonly body: string }>;

/** A witness that cosigns nothing, or something else. */
export class WitnessRefused extends Error {
  override readonly name: string = 'WitnessRefused';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Has a witness cosign a log's newest checkpoint, and keeps it with the cosignatures as `cosigned` beside the log. Cosignatures of other
 * witnesses on the same checkpoint are kept. Answers the cosigned checkpoint.
 * @throws {WitnessRefused} where the witness does not cosign; status 409 after a second try, 422 and 200 without a good signature mean
 * that the log or the witness is not what it was · {NoProof} where the log has no checkpoint · {MalformedNote} where one of its
 * checkpoints is none
 */
export async function cosignLog(
  directory: string,
  writer: string,
  witnessKeys: readonly string[],
  submit: SubmitCheckpoint,
): Promise<string> {
  const keys = witnessKeys.map(parseVerifierKey);
  const path = join(logDirectory(directory, writer), COSIGNED);
  const before = (await readIfPresent(path))?.toString() ?? null;
  let old = before === null ? 0 : cosignedSize(before, path);
  for (let attempt = 0; ; attempt++) {
    const { proof, checkpoint } = await proveConsistency(directory, writer, old);
    const answer = await submit(`old ${old}\n${proof.map((hashBytes) => `${hashBytes.toString('base64')}\n`).join('')}\n${checkpoint}`);
    const [, size] = /^(0|[1-9][0-9]{0,15})\n$/.exec(answer.body) ?? [];
    if (answer.status === 409 && size !== undefined && attempt === 0) {
      old = Number(size);
      continue;
    }
    if (answer.status !== 200) throw new WitnessRefused(answer.status, `the witness answered ${answer.status}`);
    const cosigned = addCosignatures(checkpoint, before, answer.body, keys);
    await replaceFile(path, cosigned);
    return cosigned;
  }
}

function cosignedSize(note: string, path: string): number {
  try {
    return parseCheckpoint(parseNote(note).text).size;
  } catch (error) {
    if (!(error instanceof MalformedNote)) throw error;
    throw new MalformedNote(`${path} is no cosigned checkpoint (${error.message}); remove it, the witness has its own`, { cause: error });
  }
}

/** The witness's answer is a stranger's until its signatures hold. @throws {WitnessRefused} */
function addCosignatures(checkpoint: string, before: string | null, answer: string, keys: readonly VerifierKey[]): string {
  try {
    const own = parseNote(checkpoint);
    const earlier = before === null ? null : parseNote(before);
    const others = earlier?.text === own.text ? earlier.signatures : [];
    const fresh = answer.slice(0, -1).split('\n').map(parseSignatureLine);
    const known = fresh.filter(({ name, keyId }) => keys.some((key) => key.name === name && key.keyId === keyId));
    const kept = [...own.signatures, ...others].filter(
      (a, i, all) =>
        all.findIndex((b) => a.name === b.name && a.keyId === b.keyId) === i &&
        !known.some((b) => a.name === b.name && a.keyId === b.keyId),
    );
    const note = formatNote({ text: own.text, signatures: [...kept, ...known] });
    if (known.length === 0 || openCheckpoint(note, keys).signatures.length === 0)
      throw new WitnessRefused(200, 'the witness did not cosign with a known key');
    return note;
  } catch (error) {
    if (error instanceof MalformedNote) throw new WitnessRefused(200, `the witness did not cosign: ${error.message}`);
    throw error;
  }
}
