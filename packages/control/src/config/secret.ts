import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { quote } from './problem.ts';

/** Largest secret that is read, in bytes. */
export const MAX_SECRET_BYTES = 65_536;

export interface SecretSource {
  /** Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Relative paths are relative to it. Default: the working directory. */
  readonly directory?: string;
}

export interface ResolvedSecret {
  readonly value: string;
  /** For the operator: what is weak about where the secret lies. */
  readonly warnings: readonly string[];
}

/** A reference that leads nowhere. The message names the reference, never content. */
export class SecretError extends Error {
  override readonly name: string = 'SecretError';
  readonly reference: string;
  readonly reason: string;

  constructor(reference: string, reason: string, options?: ErrorOptions) {
    super(`${quote(reference)}: ${reason}`, options);
    this.reference = reference;
    this.reason = reason;
  }
}

/**
 * Reads what `env:NAME` or `file:/path` stands for. One line break at the end of a file is dropped, as editors and `echo` add it.
 * Reading again gives the current value: certificates and keys may be replaced while the process runs.
 * @throws SecretError where it is absent, empty, larger than 64 KiB, not UTF-8 or not a regular file
 */
export function resolveSecret(reference: string, source: SecretSource = {}): ResolvedSecret {
  if (reference.startsWith('env:')) return { value: fromEnvironment(reference, source.env ?? process.env), warnings: [] };
  if (reference.startsWith('file:')) return fromFile(reference, resolve(source.directory ?? '.', reference.slice('file:'.length)));
  throw new SecretError('…', 'not a reference: write env:NAME or file:/path');
}

function fromEnvironment(reference: string, env: Readonly<Record<string, string | undefined>>): string {
  const name = reference.slice('env:'.length);
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (value === undefined) throw new SecretError(reference, 'the environment variable is not set');
  if (value === '') throw new SecretError(reference, 'the environment variable is empty');
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES) throw new SecretError(reference, 'the value is larger than 64 KiB');
  return value;
}

function fromFile(reference: string, path: string): ResolvedSecret {
  const { bytes, mode } = readBounded(reference, path);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SecretError(reference, 'the file is not UTF-8 text', { cause: error });
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new SecretError(reference, 'the file is empty');
  // A mode means nothing on Windows. A certificate is no secret, so it may be read by all.
  const exposed = process.platform !== 'win32' && (mode & 0o077) !== 0 && !value.startsWith('-----BEGIN CERTIFICATE-----');
  return { value, warnings: exposed ? [`${quote(path)} can be read by others (mode ${(mode & 0o777).toString(8)}): run chmod 600`] : [] };
}

function readBounded(reference: string, path: string): { readonly bytes: Buffer; readonly mode: number } {
  let descriptor: number;
  try {
    // Without O_NONBLOCK a named pipe would hold the process for ever.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new SecretError(reference, `the file cannot be read (${code})`, { cause: error });
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new SecretError(reference, 'not a regular file');
    if (stats.size > MAX_SECRET_BYTES) throw new SecretError(reference, 'the file is larger than 64 KiB');
    const buffer = Buffer.alloc(MAX_SECRET_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (length > MAX_SECRET_BYTES) throw new SecretError(reference, 'the file is larger than 64 KiB');
    return { bytes: buffer.subarray(0, length), mode: stats.mode };
  } finally {
    closeSync(descriptor);
  }
}
