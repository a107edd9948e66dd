import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  type SubtreeHash,
  verifyConsistency,
  verifyInclusion,
} from '../src/merkle.ts';
import { edgeRoot, type Tile, TreeEdge, tilePath } from '../src/tiles.ts';

/** MTH and nothing else, word for word RFC 6962 section 2.1. */
function mth(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return hash('sha256', '', 'buffer');
  if (leaves.length === 1) return first;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return hash('sha256', Buffer.concat([Buffer.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k))]), 'buffer');
}

const leaves = Array.from({ length: 1300 }, (_, i) => Buffer.from(leafHash(`entry ${i}`), 'hex'));

function subtreesOf(size: number): SubtreeHash {
  return async (height, index) => mth(leaves.slice(index * 2 ** height, Math.min(size, (index + 1) * 2 ** height)));
}

// Certificate Transparency's reference inputs and roots (certificate-transparency repository, cpp/merkletree/merkle_tree_test.cc).
const CT_INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const CT_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('the reference roots of RFC 6962 trees come out', () => {
  const edge = new TreeEdge();
  assert.equal(edge.root().toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  for (const [i, input] of CT_INPUTS.entries()) {
    edge.append(hash('sha256', Buffer.concat([Buffer.of(0), Buffer.from(input, 'hex')]), 'hex'), () => {});
    assert.equal(edge.root().toString('hex'), CT_ROOTS[i]);
  }
});

test('the growing edge has the root of RFC 6962 at every size, and its tiles those of tlog-tiles', async () => {
  const edge = new TreeEdge();
  const tiles = new Map<string, Tile>();
  for (const [i, leaf] of leaves.entries()) {
    edge.append(leaf.toString('hex'), (tile) => tiles.set(tilePath(tile.level, tile.index), tile));
    if (i % 37 === 0 || i > 1270) assert.ok(edge.root().equals(mth(leaves.slice(0, i + 1))));
  }
  assert.deepEqual([...tiles.keys()].sort(), ['tile/0/000', 'tile/0/001', 'tile/0/002', 'tile/0/003', 'tile/0/004']);
  assert.deepEqual(
    edge.partial().map(({ level, index, width }) => tilePath(level, index, width)),
    ['tile/0/005.p/20', 'tile/1/000.p/5'],
  );
  const copy = await TreeEdge.load(1300, async (level) => edge.partial()[level]?.bytes ?? null);
  assert.ok(copy.root().equals(edge.root()));
  assert.ok(edgeRoot([]).equals(emptyRoot()));
});

test('tile paths are those of the tlog-tiles examples', () => {
  assert.equal(tilePath(0, 1234067), 'tile/0/x001/x234/067');
  assert.equal(tilePath(3, 0, 112), 'tile/3/000.p/112');
  assert.equal(tilePath(1, 1000), 'tile/1/x001/000');
});

test('inclusion is proved for every entry of a tree and for no other entry, index, size or proof', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.nat(), async (size, pick) => {
      const index = pick % size;
      const root = mth(leaves.slice(0, size));
      const proof = await inclusionProof(subtreesOf(size), index, size);
      const leaf = leaves[index] ?? Buffer.alloc(0);
      assert.ok(verifyInclusion(leaf, index, size, proof, root));
      assert.ok(!verifyInclusion(leaves[index + 1] ?? Buffer.alloc(32), index, size, proof, root));
      if (size > 1) assert.ok(!verifyInclusion(leaf, (index + 1) % size, size, proof, root));
      assert.ok(!verifyInclusion(leaf, index, size, [...proof, Buffer.alloc(32)], root));
      if (proof.length > 0) assert.ok(!verifyInclusion(leaf, index, size, proof.slice(1), root));
      assert.ok(!verifyInclusion(leaf, size, size, proof, root));
    }),
    { numRuns: 60 },
  );
});

test('consistency is proved between any two sizes of one log and between no two logs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 300 }), async (a, b) => {
      const [old, size] = [Math.min(a, b), Math.max(a, b)];
      const older = { size: old, root: mth(leaves.slice(0, old)) };
      const newer = { size, root: mth(leaves.slice(0, size)) };
      const proof = await consistencyProof(subtreesOf(size), old, size);
      assert.ok(verifyConsistency(older, newer, proof));
      const other = { size: old, root: Buffer.alloc(32, 9) };
      assert.ok(!verifyConsistency(other, newer, proof));
      // The empty log is consistent with every log.
      if (old > 0) assert.ok(!verifyConsistency(older, { size, root: Buffer.alloc(32, 9) }, proof));
      assert.ok(!verifyConsistency(older, newer, [...proof, Buffer.alloc(32)]));
      if (proof.length > 0) assert.ok(!verifyConsistency(older, newer, proof.slice(0, -1)));
      if (old < size) assert.ok(!verifyConsistency(newer, older, proof));
    }),
    { numRuns: 80 },
  );
});
