import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { blake3 } from '@noble/hashes/blake3.js';
import { openFile } from '../source.ts';

/** `blake3` is of whole files only (spec 5.2), and many times slower than the others, which are native code. */
export type HashType = 'sha256' | 'blake2b' | 'blake3';

/** How a model is cut into the resources that are signed (OpenSSF Model Signing v1.0, 5.2). */
export interface Serialization {
  readonly method: 'files' | 'shards';
  readonly hashType: HashType;
  /** Bytes of a shard; with `shards` only. */
  readonly shardSize: number;
  readonly allowSymlinks: boolean;
  /** Exact paths relative to the model, `/` between parts; what lies below one is ignored too. */
  readonly ignorePaths: readonly string[];
}

/** A file, or a shard of one named `path:start:end`, and its digest in hexadecimal. */
export interface Resource {
  readonly name: string;
  readonly algorithm: string;
  readonly digest: string;
}

/** A model that cannot be signed or verified as it lies there. `path` is relative to the model. */
export class ModelUnreadable extends Error {
  override readonly name: string = 'ModelUnreadable';
  readonly path: string;
  constructor(message: string, path: string) {
    super(message);
    this.path = path;
  }
}

export const SHARD_SIZE = 1_000_000_000;
/** Version control beside a model is no part of it (spec 5.3). */
export const GIT_PATHS: readonly string[] = ['.git', '.gitattributes', '.github', '.gitignore'];
const CHUNK = 4 * 2 ** 20;
interface Hasher {
  update(bytes: Buffer): void;
  hex(): string;
}

function nodeHasher(name: string): Hasher {
  const hash = createHash(name);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
}

const HASHERS: Readonly<Record<HashType, () => Hasher>> = {
  sha256: () => nodeHasher('sha256'),
  blake2b: () => nodeHasher('blake2b512'),
  blake3: () => {
    const hash = blake3.create();
    return { update: (bytes) => void hash.update(bytes), hex: () => Buffer.from(hash.digest()).toString('hex') };
  },
};

export interface HashProgress {
  readonly onProgress?: (bytes: number) => void;
}

/** Every file of the model, relative, in the order of code points. Throws `ModelUnreadable` for links, where they are not allowed, and for what is no file. */
export function listFiles(model: string, serialization: Pick<Serialization, 'allowSymlinks' | 'ignorePaths'>): string[] {
  if (statSync(model).isFile()) return [basename(model)];
  const root = realpathSync(model);
  const files: string[] = [];
  const visit = (relative: string): void => {
    for (const entry of readdirSync(join(model, relative), { withFileTypes: true })) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (isIgnored(path, serialization.ignorePaths)) continue;
      const full = join(model, path);
      if (entry.isSymbolicLink()) {
        if (!serialization.allowSymlinks) throw new ModelUnreadable('is a symbolic link, and links are not allowed', path);
        const target = realpathSync(full);
        if (target !== root && !target.startsWith(root + sep))
          throw new ModelUnreadable(`links outside the model (${readlinkSync(full)})`, path);
        if (statSync(full).isFile()) files.push(path);
        // A directory that is linked is there under its own name as well, unless that is ignored.
        else if (isIgnored(target.slice(root.length + 1).replaceAll(sep, '/'), serialization.ignorePaths))
          throw new ModelUnreadable('links to a directory that is ignored', path);
      } else if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) files.push(path);
      else throw new ModelUnreadable('is neither a file nor a directory', path);
    }
  };
  visit('');
  return files.sort(byCodePoint);
}

export function isIgnored(path: string, ignored: readonly string[]): boolean {
  return ignored.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

/** UTF-8 keeps the order of code points; UTF-16 does not. */
export function byCodePoint(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/** The path on disk of a file that `listFiles` named: a model may be one file. */
export function locate(model: string, file: string): string {
  return statSync(model).isFile() ? model : join(model, file);
}

/** Digests of the files given, as resources in their order. Empty files have no shards. */
export function hashFiles(
  model: string,
  files: readonly string[],
  serialization: Pick<Serialization, 'method' | 'hashType' | 'shardSize'>,
  progress: HashProgress = {},
): Resource[] {
  const resources: Resource[] = [];
  let done = 0;
  for (const file of files) {
    using source = openFile(locate(model, file));
    const shard = serialization.method === 'files' ? Math.max(1, source.size) : serialization.shardSize;
    const count = serialization.method === 'files' ? 1 : Math.ceil(source.size / shard);
    for (let index = 0; index < count; index += 1) {
      const start = index * shard;
      const end = Math.min(source.size, start + shard);
      const hash = HASHERS[serialization.hashType]();
      const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK, end - start)));
      for (let offset = start; offset < end; ) {
        const read = source.readInto(offset, end - offset < buffer.length ? buffer.subarray(0, end - offset) : buffer);
        if (read === 0) throw new ModelUnreadable('became shorter while it was read', file);
        hash.update(buffer.subarray(0, read));
        offset += read;
        done += read;
        progress.onProgress?.(done);
      }
      const sharded = serialization.method === 'shards';
      resources.push({
        name: sharded ? `${file}:${start}:${end}` : file,
        algorithm: sharded ? `${serialization.hashType}-sharded-${shard}` : serialization.hashType,
        digest: hash.hex(),
      });
    }
  }
  return resources;
}

/** The file a resource is of. */
export function fileOf(name: string, method: Serialization['method']): string {
  return method === 'files' ? name : (/^(.*):\d+:\d+$/s.exec(name)?.[1] ?? name);
}

/** SHA-256 over the raw digests in order, whatever made them (spec 5.4). */
export function rootDigest(resources: readonly Resource[]): string {
  const hash = createHash('sha256');
  for (const { digest } of resources) hash.update(digest, 'hex');
  return hash.digest('hex');
}
