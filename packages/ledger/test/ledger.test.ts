import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { openCheckpoint, parseVerifierKey } from '../src/checkpoint.ts';
import { InvalidEntry } from '../src/entry.ts';
import { type Ledger, LedgerUnavailable, LogDamaged, LogLocked, UNRECORDED } from '../src/index.ts';
import { parseLine } from '../src/line.ts';
import { leafHash } from '../src/merkle.ts';
import { listSegments } from '../src/segment.ts';
import { readSegment } from '../src/segment-read.ts';
import { FailingStore } from './failing-store.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

const log = (directory: string): string => join(directory, 'logs', 'w1');

async function readLines(directory: string): Promise<string[]> {
  const lines: string[] = [];
  for (const segment of await listSegments(log(directory))) {
    for await (const block of readSegment(segment)) {
      lines.push(...block.lines);
      assert.equal(block.rest.length, 0);
    }
  }
  return lines;
}

/** The log's entries; asserts that they are a chain without a gap. */
async function readChain(directory: string): Promise<{ id: string; action: string; detail: Record<string, unknown> }[]> {
  let prev = '0'.repeat(64);
  return (await readLines(directory)).map((line, seq) => {
    const entry = parseLine(line);
    assert.ok(entry !== null, line);
    assert.equal(entry.seq, seq);
    assert.equal(entry.prev, prev);
    assert.equal(leafHash(entry.leaf), entry.hash);
    prev = entry.hash;
    return JSON.parse(line);
  });
}

async function appendMany(ledger: Ledger, count: number, prefix = 'r'): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => ledger.append(facts({ id: `${prefix}${i}` }))));
}

test('entries are durable in the order of the calls, chained, and signed over', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  const receipts = await Promise.all(Array.from({ length: 600 }, (_, i) => ledger.append(facts({ id: `r${i}` }))));
  await ledger.close();
  const chain = await readChain(directory.path);
  assert.deepEqual(
    chain.map(({ action, id }) => (action.startsWith('ledger.') ? action : id)),
    ['ledger.open', ...Array.from({ length: 600 }, (_, i) => `r${i}`), 'ledger.close'],
  );
  assert.deepEqual(
    receipts.map(({ seq }) => seq),
    Array.from({ length: 600 }, (_, i) => i + 1),
  );
  const { signer } = await testKeys();
  const note = await readFile(join(log(directory.path), 'checkpoint'), 'utf8');
  const signed = openCheckpoint(note, signer.verifierKeys(ledger.origin).map(parseVerifierKey));
  assert.equal(signed.checkpoint.size, 602);
  assert.equal(signed.checkpoint.origin, ledger.origin);
  assert.equal(signed.signatures.length, 2);
  assert.match(ledger.origin, /^sallyport\/[0-9a-f]{8}\/w1$/);
});

test('everything the ledger writes is closed to other users', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { segmentBytes: 50_000 });
  await appendMany(ledger, 600);
  await ledger.close();
  for (const name of await readdir(directory.path, { recursive: true })) {
    const { mode } = await stat(join(directory.path, name));
    assert.equal(mode & 0o077, 0, name);
  }
});

test('a log goes on where it was left, by the next process', async () => {
  await using directory = await TemporaryDirectory.create();
  for (let round = 0; round < 3; round++) {
    await using ledger = await openTestLedger(directory.path);
    assert.equal((await ledger.append(facts())).seq, round * 3 + 1);
  }
  assert.equal((await readChain(directory.path)).length, 9);
});

test('a full segment is closed on a tile, kept under a checkpoint and compressed', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { segmentBytes: 100_000 });
  for (let i = 0; i < 20; i++) await appendMany(ledger, 100, `${i}-`);
  await ledger.close();
  const segments = await listSegments(log(directory.path));
  assert.ok(segments.length >= 4);
  assert.deepEqual(
    segments.map(({ compressed }) => compressed),
    segments.map((_, i) => i < segments.length - 1),
  );
  for (const { first } of segments) assert.equal(first % 256, 0);
  const kept = await readdir(join(log(directory.path), 'checkpoints'));
  assert.deepEqual(
    kept.map(Number),
    segments.slice(1).map(({ first }) => first),
  );
  assert.equal((await readChain(directory.path)).length, 2002);
  await using again = await openTestLedger(directory.path, { segmentBytes: 100_000 });
  assert.equal((await again.append(facts())).seq, 2003);
});

test('facts outside their shape are refused and leave no trace in the chain', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  await assert.rejects(ledger.append(facts({ action: 'x'.repeat(1000) })), InvalidEntry);
  assert.equal((await ledger.append(facts())).seq, 1);
  await ledger.close();
  assert.equal((await readChain(directory.path)).length, 3);
});

test('the digest is HMAC-SHA-256 under the digest key, whole or in pieces', async () => {
  await using directory = await TemporaryDirectory.create();
  await using ledger = await openTestLedger(directory.path);
  const { digestKey } = await testKeys();
  const expected = createHmac('sha256', digestKey.export()).update('naïve 😀').digest('hex');
  assert.equal(ledger.digest('naïve 😀'), expected);
  const digest = ledger.startDigest();
  const bytes = Buffer.from('naïve 😀');
  digest.update(bytes.subarray(0, 3));
  digest.update(bytes.subarray(3));
  assert.equal(digest.hex(), expected);
});

test('texts given with an entry are recorded as their digests, in the place of those in the facts', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  const [prompt, reply] = [Buffer.from('what was asked'), Buffer.from('what was answered')];
  const known = { prompt: 'a'.repeat(64), reply: 'b'.repeat(64) };
  await Promise.all([
    ledger.append(facts({ digest: { prompt: null, reply: null } }), { prompt, reply }),
    ledger.append(facts({ digest: known }), { prompt, reply: null }),
    ledger.append(facts({ digest: known }), { prompt: null, reply }),
    ledger.append(facts({ digest: known })),
  ]);
  await ledger.close();
  const expected = { prompt: ledger.digest(prompt), reply: ledger.digest(reply) };
  assert.deepEqual(
    (await readLines(directory.path)).slice(1, -1).map((line) => JSON.parse(line).digest),
    [expected, { ...known, prompt: expected.prompt }, { ...known, reply: expected.reply }, known],
  );
});

test('of entries accepted together, one outside its shape is refused alone, and a clock that goes back between them is recorded', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  const ledger = await openTestLedger(directory.path, { clock });
  const appended: Promise<unknown>[] = [];
  for (const [n, time] of [start + 5000, start + 4500, start - 60_000, start].entries()) {
    clock.time = time;
    appended.push(ledger.append(facts({ id: `r${n}`, ...(n === 1 ? { action: 'x'.repeat(1000) } : {}) })));
  }
  const outcomes = await Promise.allSettled(appended);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? Reflect.get(Object(outcome.value), 'seq') : outcome.reason?.name)),
    [1, 'InvalidEntry', 3, 4],
  );
  await ledger.close();
  assert.deepEqual(
    (await readChain(directory.path)).map(({ action, id }) => (action.startsWith('ledger.') ? action : id)),
    ['ledger.open', 'r0', 'ledger.clock', 'r2', 'r3', 'ledger.close'],
  );
});

test('two writers of one log: the second is refused, until the first has closed it', async () => {
  await using directory = await TemporaryDirectory.create();
  const first = await openTestLedger(directory.path);
  await assert.rejects(openTestLedger(directory.path), LogLocked);
  await using other = await openTestLedger(directory.path, { writer: 'w2' });
  assert.equal(other.failing(), false);
  await first.close();
  await using second = await openTestLedger(directory.path);
  assert.equal((await second.append(facts())).seq, 3);
});

test('of many contenders for a log exactly one gets it', async () => {
  await using directory = await TemporaryDirectory.create();
  for (let round = 0; round < 3; round++) {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => openTestLedger(directory.path)));
    const opened = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    assert.ok(opened.length <= 1);
    for (const result of results) if (result.status === 'rejected') assert.ok(result.reason instanceof LogLocked, String(result.reason));
    for (const ledger of opened) await ledger.close();
  }
});

test('a lock of a process that is gone is taken over', async () => {
  await using directory = await TemporaryDirectory.create();
  await (await openTestLedger(directory.path)).close();
  const path = join(log(directory.path), 'lock', '1');
  const owner = JSON.parse(await readFile(path, 'utf8'));
  // The number of a living process, ours, that started at another time.
  await writeFile(path, JSON.stringify({ ...owner, released: false, start: '1' }));
  await using ledger = await openTestLedger(directory.path);
  assert.equal(ledger.failing(), false);
  assert.deepEqual(await readdir(join(log(directory.path), 'lock')), ['2']);
});

for (const [what, code, reason] of [
  ['full disk', 'ENOSPC', 'disk-full'],
  ['read-only disk', 'EROFS', 'read-only'],
  ['failing disk', 'EIO', 'io'],
] as const) {
  for (const at of ['failWrite', 'failSync'] as const) {
    test(`${what}, ${at}: refuses, says so, and recovers by itself with nothing lost or repeated`, async () => {
      await using directory = await TemporaryDirectory.create();
      const store = new FailingStore();
      const ledger = await openTestLedger(directory.path, { store, retryInterval: 5 });
      await ledger.append(facts({ id: 'before' }));
      store[at] = code;
      store.partial = 100;
      const results = await Promise.allSettled([ledger.append(facts({ id: 'lost1' })), ledger.append(facts({ id: 'lost2' }))]);
      for (const result of results) {
        assert.ok(result.status === 'rejected' && result.reason instanceof LedgerUnavailable);
        assert.equal(result.reason.reason, reason);
      }
      await assert.rejects(ledger.append(facts({ id: 'lost3' })), LedgerUnavailable);
      const { state, reason: said, refused } = ledger.health();
      assert.deepEqual({ state, said, refused }, { state: 'failing', said: reason, refused: 3 });
      assert.ok(ledger.failing());
      assert.equal((await ledger.retry()).state, 'failing');
      store[at] = null;
      while (ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 2));
      await ledger.append(facts({ id: 'after' }));
      await ledger.close();
      const chain = await readChain(directory.path);
      assert.deepEqual(
        chain.map(({ action, id }) => (action.startsWith('ledger.') ? action : id)),
        ['ledger.open', 'before', 'ledger.recovered', 'after', 'ledger.close'],
      );
      assert.equal(chain[2]?.detail['refused'], 3);
      assert.equal(chain[2]?.detail['reason'], reason);
    });
  }
}

test('where policy chooses to go on unrecorded, appends answer UNRECORDED and the gap is an entry', async () => {
  await using directory = await TemporaryDirectory.create();
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000, onFailure: 'unsafe-continue-unrecorded' });
  store.failWrite = 'ENOSPC';
  assert.equal(await ledger.append(facts()), UNRECORDED);
  assert.equal(await ledger.append(facts()), UNRECORDED);
  assert.equal((await ledger.retry()).state, 'failing');
  store.failWrite = null;
  assert.equal((await ledger.retry()).state, 'ok');
  await ledger.close();
  const chain = await readChain(directory.path);
  assert.deepEqual(
    chain.map(({ action }) => action),
    ['ledger.open', 'ledger.recovered', 'ledger.close'],
  );
  assert.equal(chain[1]?.detail['refused'], 2);
});

test('a gap that is open when the log is closed is recorded then, where the disk works again', async () => {
  await using directory = await TemporaryDirectory.create();
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000 });
  store.failWrite = 'ENOSPC';
  await assert.rejects(ledger.append(facts()), LedgerUnavailable);
  store.failWrite = null;
  await Promise.all([ledger.close(), ledger.close()]);
  const chain = await readChain(directory.path);
  assert.deepEqual(
    chain.map(({ action }) => action),
    ['ledger.open', 'ledger.recovered', 'ledger.close'],
  );
  assert.equal(chain[1]?.detail['refused'], 1);
});

test('a disk that cannot take a new segment refuses, and goes on in it later', async () => {
  await using directory = await TemporaryDirectory.create();
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000, segmentBytes: 1 });
  await appendMany(ledger, 255);
  store.failOpen = 'ENOSPC';
  await assert.rejects(ledger.append(facts({ id: 'lost' })), LedgerUnavailable);
  store.failOpen = null;
  assert.equal((await ledger.retry()).state, 'ok');
  await ledger.append(facts());
  await ledger.close();
  assert.equal((await readChain(directory.path)).length, 255 + 4);
});

test('more than maxPending waiting entries are refused, and the log does not count as failing', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { maxPending: 10 });
  const results = await Promise.allSettled(Array.from({ length: 15 }, () => ledger.append(facts())));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10);
  assert.equal(ledger.failing(), false);
  await ledger.append(facts());
  await ledger.close();
  await assert.rejects(ledger.append(facts()), LedgerUnavailable);
});

test('a clock that goes back is recorded and never reorders; a small step is held', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  const ledger = await openTestLedger(directory.path, { clock });
  for (const time of [start + 5000, start + 4500, start - 60_000]) {
    clock.time = time;
    await ledger.append(facts());
  }
  await ledger.close();
  const chain = (await readLines(directory.path)).map((line) => JSON.parse(line));
  assert.deepEqual(
    chain.map(({ action, time }) => `${action} ${Date.parse(time) - start}`),
    ['ledger.open 0', 'model.infer 5000', 'model.infer 5000', 'ledger.clock -60000', 'model.infer -60000', 'ledger.close -60000'],
  );
  assert.equal(chain[3].detail.back, 65_000);
});

/** A log as a killed process leaves it: 300 entries, some of them after the last checkpoint. */
async function crashedLog(directory: string): Promise<string> {
  const ledger = await openTestLedger(directory);
  await appendMany(ledger, 150);
  await ledger.checkpoint();
  await appendMany(ledger, 150);
  const path = join(log(directory), 'segments', '0000000000000000.jsonl');
  const [segment, checkpoint] = [await readFile(path), await readFile(join(log(directory), 'checkpoint'))];
  await ledger.close();
  await writeFile(path, segment);
  await writeFile(join(log(directory), 'checkpoint'), checkpoint);
  return path;
}

for (const [what, tail] of [
  ['half a line', Buffer.from('{"action":"model.inf')],
  ['a page of zeros before the last', Buffer.concat([Buffer.alloc(4096), Buffer.from('x')])],
  ['many pages of zeros before the last', Buffer.concat([Buffer.alloc(700_000), Buffer.from('x')])],
  ['garbage with line ends', Buffer.from('\n\nxx\n{}\n')],
  ['bytes that are not UTF-8', Buffer.from('ff80fe0aff', 'hex')],
] as const) {
  test(`a torn write, ${what}, is cut, kept aside and recorded; no acknowledged entry is lost`, async () => {
    await using directory = await TemporaryDirectory.create();
    const path = await crashedLog(directory.path);
    await writeFile(path, tail, { flag: 'a' });
    const ledger = await openTestLedger(directory.path);
    assert.equal((await ledger.append(facts({ id: 'next' }))).seq, 302);
    await ledger.close();
    const chain = await readChain(directory.path);
    assert.equal(chain.filter(({ id }) => /^r[0-9]+$/.test(id)).length, 300);
    assert.equal(chain[301]?.detail['torn'], tail.length);
    const [kept] = await readdir(join(log(directory.path), 'torn'));
    assert.ok((await readFile(join(log(directory.path), 'torn', String(kept)))).equals(tail));
  });
}

test('a log cut in the middle of its last entry continues before it, and reuses no number of a whole entry', async () => {
  await using directory = await TemporaryDirectory.create();
  const path = await crashedLog(directory.path);
  await truncate(path, (await stat(path)).size - 10);
  await using ledger = await openTestLedger(directory.path);
  assert.equal((await ledger.append(facts())).seq, 301);
});

test('missing tiles are made again from the entries', async () => {
  await using directory = await TemporaryDirectory.create();
  await crashedLog(directory.path);
  await rm(join(log(directory.path), 'tile'), { recursive: true });
  await (await openTestLedger(directory.path)).close();
  const tile = await readFile(join(log(directory.path), 'tile', '0', '000'));
  const lines = await readLines(directory.path);
  assert.equal(tile.length, 8192);
  assert.equal(tile.subarray(8160).toString('hex'), parseLine(lines[255] ?? '')?.hash);
});

test('a tree that stands on the disk is not read again from the first entry', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { segmentBytes: 100_000 });
  for (let i = 0; i < 10; i++) await appendMany(ledger, 100);
  await ledger.close();
  await rm(join(log(directory.path), 'segments', '0000000000000000.jsonl.zst'));
  await using again = await openTestLedger(directory.path, { segmentBytes: 100_000 });
  assert.equal((await again.append(facts())).seq, 1003);
});

const damages: [string, (path: string) => Promise<void>][] = [
  ['entries before the checkpoint are cut off', async (path) => truncate(path, 20_000)],
  ['the segment is gone', async (path) => rm(path)],
  [
    'an entry under the checkpoint was altered',
    async (path) => {
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('"id":"r7"', '"id":"r8"'));
    },
  ],
  [
    'the checkpoint is signed by a stranger',
    async (path) => {
      const target = join(path, '..', '..', 'checkpoint');
      const text = await readFile(target, 'utf8');
      await writeFile(
        target,
        text.replaceAll(/— \S+ .{8}/g, (line) => `${line.slice(0, -8)}AAAAAAAA`),
      );
    },
  ],
  ['the checkpoint is not a checkpoint', async (path) => writeFile(join(path, '..', '..', 'checkpoint'), 'nothing')],
];

for (const [what, damage] of damages) {
  test(`is not opened where ${what}`, async () => {
    await using directory = await TemporaryDirectory.create();
    const path = await crashedLog(directory.path);
    await damage(path);
    await assert.rejects(openTestLedger(directory.path), LogDamaged);
    // The refusal releases the lock and changes nothing: it is refused the same way again.
    await assert.rejects(openTestLedger(directory.path), LogDamaged);
  });
}

test('a log that is deleted under its writer refuses instead of writing into the void', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { retryInterval: 60_000 });
  await rm(join(log(directory.path), 'segments'), { recursive: true });
  while (!ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(ledger.health().reason, 'log-removed');
  assert.equal((await ledger.retry()).state, 'failing');
  await ledger.close();
});

test('an exchange is on record as open before it begins, and its end names it', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  {
    await using exchange = await ledger.open(facts({ id: 'x1' }));
    assert.equal(exchange.receipt.seq, 1);
    const end = await exchange.conclude(facts({ id: 'x1' }));
    assert.equal(await exchange.conclude(facts({ id: 'x1', outcome: 'cut' })), end);
  }
  await assert.rejects(async () => {
    await using _exchange = await ledger.open(facts({ id: 'x2' }));
    throw new Error('a defect');
  }, /a defect/);
  await ledger.close();
  const chain = (await readLines(directory.path)).map((line) => JSON.parse(line));
  assert.deepEqual(
    chain.slice(1, -1).map(({ id, outcome, fault, detail }) => [id, outcome, fault, detail.opened ?? null]),
    [
      ['x1', 'open', null, null],
      ['x1', 'answered', null, 1],
      ['x2', 'open', null, null],
      ['x2', 'failed', 'internal_error', 3],
    ],
  );
});

test('a writer whose lock was taken stops, and does not come back', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { retryInterval: 5 });
  await ledger.append(facts());
  const lock = join(log(directory.path), 'lock');
  await writeFile(join(lock, '99'), await readFile(join(lock, '1')), { mode: 0o600 });
  while (!ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await ledger.retry()).reason, 'lock-lost');
  await assert.rejects(ledger.append(facts()), LedgerUnavailable);
  await ledger.close();
});

for (const before of ['no failure', 'a full disk']) {
  test(`a writer whose lock was taken refuses whatever the policy, after ${before}`, async () => {
    await using directory = await TemporaryDirectory.create();
    const store = new FailingStore();
    const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000, onFailure: 'unsafe-continue-unrecorded' });
    if (before === 'a full disk') {
      store.failWrite = 'ENOSPC';
      assert.equal(await ledger.append(facts()), UNRECORDED);
      assert.equal(ledger.failing(), false);
    }
    const lock = join(log(directory.path), 'lock');
    await writeFile(join(lock, '99'), await readFile(join(lock, '1')), { mode: 0o600 });
    while (ledger.health().reason !== 'lock-lost') await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(ledger.failing(), true);
    await assert.rejects(ledger.append(facts()), LedgerUnavailable);
    await ledger.close();
    assert.equal(ledger.failing(), true);
  });
}

test('a failure noticed while a group is under way breaks no link', async () => {
  await using directory = await TemporaryDirectory.create();
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000 });
  for (let round = 0; round < 20; round++) {
    store.failSync = 'EIO';
    const refused = appendMany(ledger, 5, 'refused').catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    store.failSync = null;
    await Promise.all([refused, ledger.retry()]);
    await ledger.retry();
    await appendMany(ledger, 5, `${round}-`);
  }
  await ledger.close();
  const chain = await readChain(directory.path);
  assert.equal(chain.filter(({ id }) => /^[0-9]+-[0-9]$/.test(id)).length, 100);
});
