import assert from 'node:assert/strict';
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { EntryFacts } from '@sallyport/core';
import { buildIndexes, type EntryFilter, readEntries, verifyLedger } from '../src/index.ts';
import { hashTerm, IndexBuilder, SegmentIndex, writeIndex } from '../src/segment-index.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory } from './support.ts';

const ENTRIES = 1_500;

function variety(n: number): EntryFacts {
  return facts({
    id: `r${n}`,
    principal: { id: `p${n % 37}`, kind: 'person', tenant: n % 2 === 0 ? 'even' : 'odd', credential: `api-key:k${n % 11}` },
    source: { ip: `192.0.2.${n % 200}`, port: 1, tls: null },
    model: { name: `m${n % 5}`, upstream: 'u', artifact: null },
    resource: `m${n % 5}`,
    outcome: n % 100 === 0 ? 'blocked' : 'answered',
    fault: n % 100 === 0 ? 'content_blocked' : null,
    verdicts: n % 300 === 0 ? [{ detector: 'rare', action: 'block', category: 'x', count: 1 }] : [],
    digest: { prompt: n.toString(16).padStart(64, '0'), reply: null },
  });
}

const FILTERS: readonly EntryFilter[] = [
  {},
  { id: 'r7' },
  { id: `r${ENTRIES - 1}` },
  { id: 'nobody' },
  { principal: 'p36' },
  { principal: 'p3', tenant: 'odd', outcome: 'answered' },
  { tenant: 'even', model: 'm3', last: 5 },
  { ip: '192.0.2.199' },
  { finding: 'rare' },
  { fault: 'content_blocked', until: '2026-01-01T00:10:00.000Z' },
  { since: '2026-01-01T00:20:00.000Z', model: 'm1' },
  { since: '2026-01-01T00:05:00.000Z', until: '2026-01-01T00:06:00.000Z' },
  { digest: (77).toString(16).padStart(64, '0') },
  { kind: 'system' },
  { detail: 'torn' },
  { credential: 'api-key:k10', resource: 'm0', action: 'model.infer' },
];

async function read(directory: string, filter: EntryFilter, index: boolean): Promise<string[]> {
  const out: string[] = [];
  for await (const { log, entry } of readEntries(directory, filter, { index })) out.push(`${log} ${entry.seq}`);
  return out;
}

describe('the index', () => {
  let directory: TemporaryDirectory;
  let indexes: string;

  before(async () => {
    directory = await TemporaryDirectory.create();
    indexes = join(directory.path, 'index', 'w1');
    const clock = new ManualClock();
    await using ledger = await openTestLedger(directory.path, { clock, segmentBytes: 150_000 });
    for (let n = 0; n < ENTRIES; n += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          clock.time += 1_000;
          return ledger.append(variety(n + i));
        }),
      );
    }
  });
  after(() => directory[Symbol.asyncDispose]());

  const all = async (): Promise<string[][]> => {
    const answers: string[][] = [];
    for (const filter of FILTERS) answers.push(await read(directory.path, filter, true));
    return answers;
  };

  it('changes no answer: made on the way, there already, damaged in any way, thrown away', async () => {
    const plain: string[][] = [];
    for (const filter of FILTERS) plain.push(await read(directory.path, filter, false));
    assert.deepEqual(
      plain.map((answer) => answer.length > 0),
      FILTERS.map(({ id }) => id !== 'nobody'),
    );
    assert.deepEqual(await all(), plain, 'made on the way');
    const files = await readdir(indexes);
    assert.ok(files.length >= 4, 'one for each closed segment');
    assert.deepEqual(await all(), plain, 'there already');
    for (const [n, file] of files.entries()) {
      const bytes = await readFile(join(indexes, file));
      if (n % 4 === 0) await truncate(join(indexes, file), bytes.length - 1);
      else if (n % 4 === 1) await writeFile(join(indexes, file), 'garbage');
      else if (n % 4 === 2) await truncate(join(indexes, file), 0);
      else await writeFile(join(indexes, file), Buffer.concat([bytes.subarray(0, bytes.length - 40), Buffer.alloc(40, 0xff)]));
    }
    // Where a posting is damaged within its bounds an entry may be missed; these are damaged so that it shows.
    assert.deepEqual(await all(), plain, 'damaged');
    await rm(join(directory.path, 'index'), { recursive: true });
    assert.deepEqual(await buildIndexes(directory.path), { built: files.length, entries: await indexedEntries(indexes) });
    assert.deepEqual(await all(), plain, 'made at once');
    assert.deepEqual(await buildIndexes(directory.path), { built: 0, entries: 0 });
  });

  it('is no part of the ledger: it verifies with it, and with anything in its place', async () => {
    await writeFile(join(indexes, 'stray'), 'x');
    const report = await verifyLedger(directory.path);
    assert.equal(report.ok, true, JSON.stringify(report.logs.map(({ problems }) => problems)));
    await buildIndexes(directory.path);
    assert.ok(!(await readdir(indexes)).includes('stray'), 'what belongs to no segment goes');
  });

  it('holds hashes, no identity', async () => {
    for (const file of await readdir(indexes)) {
      const bytes = await readFile(join(indexes, file), 'latin1');
      for (const value of ['p36', 'even', '192.0.2.', 'api-key', 'rare']) assert.ok(!bytes.includes(value), value);
    }
  });
});

async function indexedEntries(indexes: string): Promise<number> {
  let entries = 0;
  for (const file of await readdir(indexes)) {
    await using index = await SegmentIndex.open(join(indexes, file));
    entries += index?.entries ?? 0;
  }
  return entries;
}

describe('one index file', () => {
  it('finds every term of many, and nothing where there is none', async () => {
    await using directory = await TemporaryDirectory.create();
    const builder = new IndexBuilder();
    const clock = new ManualClock();
    await using ledger = await openTestLedger(directory.path, { clock });
    await Promise.all(Array.from({ length: 5_000 }, (_, n) => ledger.append(variety(n))));
    for await (const { entry } of readEntries(directory.path, { kind: 'request' })) builder.add(entry);
    const path = join(directory.path, 'x', 'one.idx');
    assert.equal(await writeIndex(path, builder), true);
    await using index = await SegmentIndex.open(path);
    assert.ok(index !== null);
    for (let n = 0; n < 5_000; n += 1) {
      const found = await index.find([['id', `r${n}`]]);
      assert.ok(found?.includes(n), `r${n}`);
    }
    let collisions = 0;
    for (let n = 5_000; n < 10_000; n += 1) collisions += (await index.find([['id', `r${n}`]]))?.length ?? 0;
    assert.ok(collisions < 5, `${collisions} of 5000`);
    assert.equal(
      (
        await index.find([
          ['model', 'm4'],
          ['tenant', 'odd'],
        ])
      )?.length,
      500,
    );
  });

  it('spreads its hashes evenly, which its search relies on', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let n = 0; n < 16_000; n += 1) {
      const bucket = hashTerm('id', `r${n}`) >>> 28;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) assert.ok(count > 800 && count < 1_200, String(buckets));
  });
});
