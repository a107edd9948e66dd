import { at, type Json, JsonError, parseJson } from '../format/json.ts';
import { fileOf, type Resource, rootDigest, type Serialization, SHARD_SIZE } from './manifest.ts';

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

/** A bundle, a statement or a policy that is not what it has to be. The message says what is wrong. */
export class SignatureInvalid extends Error {
  override readonly name: string = 'SignatureInvalid';
}

/** What was signed: the name of the model, how it was cut, and a digest for each part. */
export interface Statement {
  readonly subject: string;
  readonly rootDigest: string;
  readonly serialization: Serialization;
  readonly resources: readonly Resource[];
}

/** The bytes that a DSSE signature covers (DSSE v1.0.2, PAE). */
export function preAuthEncoding(type: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

export function formatStatement(subject: string, serialization: Serialization, resources: readonly Resource[]): Buffer {
  const { method, hashType, shardSize, allowSymlinks, ignorePaths } = serialization;
  return Buffer.from(
    JSON.stringify({
      _type: STATEMENT_TYPE,
      subject: [{ name: subject, digest: { sha256: rootDigest(resources) } }],
      predicateType: PREDICATE_TYPE,
      predicate: {
        serialization: {
          method,
          hash_type: hashType,
          ...(method === 'shards' ? { shard_size: shardSize } : {}),
          allow_symlinks: allowSymlinks,
          ignore_paths: ignorePaths,
        },
        resources,
      },
    }),
  );
}

/** Parses a payload whose signature holds. Throws `SignatureInvalid`: a signature over nonsense is still over nonsense. */
export function parseStatement(payload: Buffer): Statement {
  const statement = parse(payload, 'the statement');
  if (at(statement, '_type') !== STATEMENT_TYPE) throw new SignatureInvalid('the payload is no in-toto statement v1');
  if (at(statement, 'predicateType') !== PREDICATE_TYPE)
    throw new SignatureInvalid(`the predicate is of another type than ${PREDICATE_TYPE}`);
  const subjects = at(statement, 'subject');
  const [subject] = Array.isArray(subjects) ? subjects : [];
  const name = at(subject, 'name');
  const root = at(subject, 'digest', 'sha256');
  if (!Array.isArray(subjects) || subjects.length !== 1 || typeof name !== 'string' || !isHex(root, 64))
    throw new SignatureInvalid('the statement needs exactly one subject with a name and a SHA-256 digest');
  const serialization = parseSerialization(at(statement, 'predicate', 'serialization'));
  const resources = parseResources(at(statement, 'predicate', 'resources'), serialization);
  if (rootDigest(resources) !== root.toLowerCase()) throw new SignatureInvalid('the digest of the subject is not that of its resources');
  return { subject: name, rootDigest: root.toLowerCase(), serialization, resources };
}

function parseSerialization(value: Json | undefined): Serialization {
  const method = at(value, 'method');
  const hashType = at(value, 'hash_type');
  const shardSize = at(value, 'shard_size') ?? SHARD_SIZE;
  const ignored = at(value, 'ignore_paths') ?? [];
  if (method !== 'files' && method !== 'shards') throw new SignatureInvalid('serialization.method must be files or shards');
  if (hashType !== 'sha256' && hashType !== 'blake2b' && hashType !== 'blake3')
    throw new SignatureInvalid('serialization.hash_type must be sha256, blake2b or blake3');
  if (hashType === 'blake3' && method === 'shards') throw new SignatureInvalid('blake3 is of whole files, not of shards');
  if (typeof shardSize !== 'number' || !Number.isSafeInteger(shardSize) || shardSize < 1)
    throw new SignatureInvalid('serialization.shard_size must be a positive whole number');
  if (!Array.isArray(ignored) || !ignored.every((path) => typeof path === 'string'))
    throw new SignatureInvalid('serialization.ignore_paths must be a list of paths');
  return {
    method,
    hashType,
    shardSize,
    allowSymlinks: at(value, 'allow_symlinks') === true,
    ignorePaths: ignored.filter((path) => typeof path === 'string').map((path) => path.replace(/^\.\//, '')),
  };
}

function parseResources(value: Json | undefined, { method, hashType }: Serialization): Resource[] {
  if (!Array.isArray(value) || value.length === 0) throw new SignatureInvalid('the statement names no resources');
  const seen = new Set<string>();
  return value.map((entry) => {
    const name = at(entry, 'name');
    const algorithm = at(entry, 'algorithm');
    const digest = at(entry, 'digest');
    if (typeof name !== 'string' || typeof algorithm !== 'string' || !isHex(digest, hashType === 'blake2b' ? 128 : 64))
      throw new SignatureInvalid('a resource needs a name, an algorithm and a digest');
    if (!isInside(fileOf(name, method)) || (method === 'shards' && !/:\d+:\d+$/.test(name)))
      throw new SignatureInvalid('a resource has a name that is no path inside the model');
    if (seen.has(name)) throw new SignatureInvalid('a resource stands twice');
    if (!algorithm.startsWith(hashType)) throw new SignatureInvalid('a resource has another algorithm than the serialization');
    seen.add(name);
    return { name, algorithm, digest: digest.toLowerCase() };
  });
}

/** A path below the model, in the one way that it is written. Models of one file were called `.` once. */
function isInside(path: string): boolean {
  return path === '.' || (!path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'));
}

/** Duplicate keys are refused: what a second parser takes must be what was checked. */
export function parse(bytes: Buffer, what: string): Json {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof JsonError || error instanceof TypeError) throw new SignatureInvalid(`${what} is no sound JSON`);
    throw error;
  }
}

function isHex(value: Json | undefined, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-fA-F]+$/.test(value);
}
