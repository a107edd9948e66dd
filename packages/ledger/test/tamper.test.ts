import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { verifyLedger } from '../src/index.ts';
import { facts, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

/** Changes to a file's bytes; each gives other bytes. */
const changes = {
  flip: (bytes: Buffer, at: number): Buffer => Buffer.from(bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8)))),
  cut: (bytes: Buffer, at: number): Buffer => bytes.subarray(0, at),
  remove: (bytes: Buffer, at: number): Buffer => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (at % 50))]),
  repeat: (bytes: Buffer, at: number): Buffer => Buffer.concat([bytes.subarray(0, at + 1), bytes.subarray(Math.max(0, at - 40))]),
  blank: (bytes: Buffer, at: number): Buffer => Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 30)),
};

/** Files whose every byte is under a signature, a hash, or a key that the verifier is given. */
async function guardedFiles(log: string): Promise<string[]> {
  const names = (await readdir(log, { recursive: true })).filter((name) =>
    /^(checkpoint|cosigned|segments\/|checkpoints\/|tile\/)/.test(name),
  );
  const files: string[] = [];
  for (const name of names.sort()) if ((await stat(join(log, name))).isFile()) files.push(name);
  return files;
}

/** Whether a reader gets the same out of both. A compressed file has bits that mean nothing. */
function holdsTheSame(name: string, before: Buffer, after: Buffer): boolean {
  if (!name.endsWith('.zst')) return after.equals(before);
  try {
    return zstdDecompressSync(after).equals(zstdDecompressSync(before));
  } catch {
    // It no longer decompresses, so nobody gets anything out of it.
    return false;
  }
}

test('any change to any file of a log is reported, and nothing an attacker writes makes the verifier fail', async () => {
  await using directory = await TemporaryDirectory.create();
  const original = join(directory.path, 'original');
  const ledger = await openTestLedger(original, { segmentBytes: 50_000 });
  for (let at = 0; at < 600; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `r${at + i}` }))));
  await ledger.close();
  const log = join(original, 'logs', 'w1');
  const publicKeys = (await testKeys()).signer.verifierKeys(ledger.origin);
  // Partial tiles of earlier checkpoints serve who still holds those; the newest tree does not need them.
  const size = Number((await readFile(join(log, 'checkpoint'), 'utf8')).split('\n')[1]);
  const current = [`.p/${size % 256}`, `.p/${Math.floor(size / 256)}`];
  const files = (await guardedFiles(log)).filter((name) => !name.includes('.p/') || current.some((end) => name.endsWith(end)));
  assert.equal((await verifyLedger(original, { publicKeys })).ok, true);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), fc.nat(), fc.constantFrom(...Object.values(changes)), async (name, pick, change) => {
      const copy = join(directory.path, 'copy');
      await cp(original, copy, { recursive: true });
      const path = join(copy, 'logs', 'w1', name);
      const bytes = await readFile(path);
      const changed = change(bytes, pick % bytes.length);
      await writeFile(path, changed);
      const { ok } = await verifyLedger(copy, { publicKeys });
      assert.equal(ok, holdsTheSame(name, bytes, changed), name);
      await rm(copy, { recursive: true });
    }),
    { numRuns: 100 },
  );
});
