import { createHmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { GuardAllowance, Role, SealedPrompt, Snapshot } from '@sallyport/core';
import { freezeSnapshot, SnapshotError, type SnapshotParts } from './build.ts';

/** Changes with the meaning of the file; another one is refused, and the snapshot is built from its source again. */
const SCHEMA = 'sallyport-snapshot/5';
const KEY_PURPOSE = 'sallyport snapshot file 1';

export interface StoredSnapshot {
  readonly snapshot: Snapshot;
  readonly origin: SnapshotOrigin;
}

/** What the keys and custom roles of a snapshot came from. */
export interface SnapshotOrigin {
  /** Tells one database from another, where the source can. */
  readonly id: string | null;
  readonly version: number;
  /** The source's own roles, without those of the configuration file. */
  readonly roles: readonly Role[];
  readonly prompts: readonly SealedPrompt[];
  readonly allowances: readonly GuardAllowance[];
}

/**
 * Two lines of JSON: a head with schema, version and tag, then origin and snapshot. The tag is HMAC-SHA-256 over both under a key
 * derived from the pepper (HKDF-SHA-256, RFC 5869), so a file that was changed, or made by another installation, is refused.
 * No secret is in it: keys are keyed digests, prompts are sealed, credentials of upstreams are references.
 */
export function serializeSnapshot(stored: StoredSnapshot, pepper: KeyObject): string {
  const { snapshot, origin } = stored;
  const content: Content = {
    origin,
    snapshot: {
      ...snapshot,
      keys: [...snapshot.keys.values()],
      roles: [...snapshot.roles.values()],
      upstreams: [...snapshot.upstreams.values()],
      routes: [...snapshot.routes.values()],
      prompts: [...snapshot.prompts.values()],
    },
  };
  const body = JSON.stringify(content);
  return `${sealedHead({ schema: SCHEMA, version: snapshot.version }, body, pepper)}\n${body}\n`;
}

interface Head {
  readonly schema: string;
  readonly version: number;
}

interface Content {
  readonly origin: SnapshotOrigin;
  readonly snapshot: SnapshotParts;
}

/** The first line of a file with this body. */
function sealedHead(head: Head, body: string, pepper: KeyObject): string {
  const key = Buffer.from(hkdfSync('sha256', pepper, new Uint8Array(0), KEY_PURPOSE, 32));
  const tag = createHmac('sha256', key).update(`${head.schema}\n${head.version}\n`).update(body).digest('base64url');
  return JSON.stringify({ schema: head.schema, version: head.version, tag });
}

/**
 * Reads what `serializeSnapshot` wrote. Nothing of the body is parsed before its tag was found right.
 * @throws SnapshotError for anything else, with what is wrong
 */
export function deserializeSnapshot(text: string, pepper: KeyObject): StoredSnapshot {
  const end = text.indexOf('\n');
  const head = end === -1 || !text.endsWith('\n') ? null : readHead(text.slice(0, end));
  if (head === null) throw new SnapshotError('the file is no snapshot');
  if (head.schema !== SCHEMA) throw new SnapshotError('the file was written by another version');
  const body = text.slice(end + 1, -1);
  const given = Buffer.from(text.slice(0, end));
  const expected = Buffer.from(sealedHead(head, body, pepper));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new SnapshotError('the file was changed, or belongs to another installation');
  }
  // Authentic from here on: these are the bytes that serializeSnapshot wrote from a snapshot.
  const content: Content = JSON.parse(body);
  return { snapshot: freezeSnapshot(content.snapshot), origin: content.origin };
}

function readHead(line: string): Head | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null; // said by the caller: it is no snapshot
  }
  if (typeof value !== 'object' || value === null) return null;
  const { schema, version } = value as Record<string, unknown>;
  return typeof schema === 'string' && typeof version === 'number' ? { schema, version } : null;
}
