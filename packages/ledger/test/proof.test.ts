import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import {
  compareCheckpoints,
  entryBundle,
  MalformedNote,
  NoProof,
  proveConsistency,
  proveInclusion,
  verifyEntryProof,
} from '../src/index.ts';
import { formatNote } from '../src/note.ts';
import { tilePath } from '../src/tiles.ts';
import { facts, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

async function append(directory: string, count: number): Promise<string[]> {
  const ledger = await openTestLedger(directory, { segmentBytes: 100_000 });
  for (let at = 0; at < count; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `r${at + i}` }))));
  await ledger.close();
  return (await testKeys()).signer.verifierKeys(ledger.origin);
}

test('any entry is proved to a third party who has the public keys', async () => {
  await using directory = await TemporaryDirectory.create();
  const keys = await append(directory.path, 700);
  for (const seq of [0, 1, 255, 256, 300, 511, 512, 700, 701]) {
    const proven = await proveInclusion(directory.path, 'w1', seq);
    const { entry, size, signedAt } = verifyEntryProof(proven, keys);
    assert.equal(entry.seq, seq);
    assert.equal(size, 702);
    assert.ok(signedAt !== null && Math.abs(signedAt - Date.now() / 1000) < 60);
  }
  await assert.rejects(proveInclusion(directory.path, 'w1', 702), NoProof);
  await assert.rejects(proveInclusion(directory.path, 'w2', 0), NoProof);
});

test('a proof holds for its entry, place, tree and keys, and for nothing else', async () => {
  await using directory = await TemporaryDirectory.create();
  await using other = await TemporaryDirectory.create();
  const keys = await append(directory.path, 300);
  await append(other.path, 300);
  const proven = await proveInclusion(directory.path, 'w1', 100);
  const neighbour = await proveInclusion(directory.path, 'w1', 101);
  const elsewhere = await proveInclusion(other.path, 'w1', 100);
  const wrong: [string, string][] = [
    [neighbour.entry, proven.proof],
    [elsewhere.entry, proven.proof],
    [proven.entry.replace('"answered"', '"refused"'), proven.proof],
    [proven.entry, proven.proof.replace('index 100', 'index 101')],
    [proven.entry, proven.proof.replace('index 100', 'index 0100')],
    [proven.entry, proven.proof.replace(/=\n/, '=\n=\n')],
    [proven.entry, proven.proof.replace(/^.{43}=\n/m, '')],
    [proven.entry, proven.proof.replace('\n302\n', '\n303\n')],
    [proven.entry, proven.proof.replace('@v1', '@v2')],
    [proven.entry, ''],
    ['{}', proven.proof],
  ];
  for (const [entry, proof] of wrong) assert.throws(() => verifyEntryProof({ entry, proof }, keys), MalformedNote);
  assert.throws(() => verifyEntryProof(proven, []), MalformedNote);
  assert.equal(verifyEntryProof({ entry: `${proven.entry}\n`, proof: proven.proof }, keys).entry.id, 'r99');
});

test('two checkpoints of one log: consistent, rolled back or forked', async () => {
  await using directory = await TemporaryDirectory.create();
  const keys = await append(directory.path, 200);
  const { checkpoint: first } = await proveConsistency(directory.path, 'w1', 0);
  await append(directory.path, 300);
  const { proof, checkpoint: second } = await proveConsistency(directory.path, 'w1', 202);
  assert.equal(compareCheckpoints(first, second, proof, keys), 'consistent');
  assert.equal(compareCheckpoints(second, first, [], keys), 'rolled-back');
  assert.equal(compareCheckpoints(first, second, proof.toReversed(), keys), 'forked');
  const { signer } = await testKeys();
  const origin = second.slice(0, second.indexOf('\n'));
  const fork = signer.sign({ origin, size: 202, root: Buffer.alloc(32, 1) }, 1_800_000_000);
  assert.equal(compareCheckpoints(fork, second, proof, keys), 'forked');
  assert.equal(compareCheckpoints(first, fork, [], keys), 'forked');
  assert.throws(() => compareCheckpoints(first, formatNote({ text: 'x\n', signatures: [] }), proof, keys), MalformedNote);
  assert.throws(() => compareCheckpoints(first, second, proof, []), MalformedNote);
  await assert.rejects(proveConsistency(directory.path, 'w1', 10_000), NoProof);
});

test('entry bundles are those of tlog-tiles: each entry hashes to its place in the tile', async () => {
  await using directory = await TemporaryDirectory.create();
  await append(directory.path, 600);
  for (const [index, width] of [
    [0, 256],
    [1, 256],
    [2, 90],
  ] as const) {
    const bundle = await entryBundle(directory.path, 'w1', index);
    const tile = await readFile(join(directory.path, 'logs/w1', tilePath(0, index, width)));
    let at = 0;
    for (let i = 0; i < width; i++) {
      const length = bundle.readUInt16BE(at);
      const leaf = hash('sha256', Buffer.concat([Buffer.of(0), bundle.subarray(at + 2, at + 2 + length)]), 'hex');
      assert.equal(leaf, tile.toString('hex', i * 32, i * 32 + 32));
      at += 2 + length;
    }
    assert.equal(at, bundle.length);
  }
  await assert.rejects(entryBundle(directory.path, 'w1', 3), NoProof);
});
