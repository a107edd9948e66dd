import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '@sallyport/core';
import { type Ledger, type LedgerKeys, type LedgerOptions, loadLedgerKeys, openLedger } from '../src/index.ts';

export { exchangeFacts as facts } from '@sallyport/testkit/entry';

export const random = { bytes: (length: number): Uint8Array => randomBytes(length) };

export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(join(tmpdir(), 'sallyport-ledger-')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A clock that tests move by hand. */
export class ManualClock implements Clock {
  time: number = Date.UTC(2026, 0, 1);

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.time;
  }
}

let keys: Promise<LedgerKeys> | null = null;

/** The same keys for all tests of a file. */
export function testKeys(): Promise<LedgerKeys> {
  keys ??= createKeys();
  return keys;
}

async function createKeys(): Promise<LedgerKeys> {
  await using directory = await TemporaryDirectory.create();
  return await loadLedgerKeys(directory.path, random);
}

export async function openTestLedger(directory: string, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return openLedger({ directory, writer: 'w1', clock: systemClock, random, ...(await testKeys()), syncMode: 'unsafe-none', ...options });
}
