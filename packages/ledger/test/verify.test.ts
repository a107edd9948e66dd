import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { formatVerifierKey, openCheckpoint, parseVerifierKey, signCheckpoint } from '../src/checkpoint.ts';
import { createSigner, type LedgerReport, type Problem, type VerifyOptions, verifyLedger } from '../src/index.ts';
import { parseLine } from '../src/line.ts';
import { leafHash } from '../src/merkle.ts';
import { formatSignatureLine, parseNote } from '../src/note.ts';
import { listSegments } from '../src/segment.ts';
import { readSegment } from '../src/segment-read.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

const COUNT = 598;

/** A log of 600 entries in one segment, or in several: two full tiles and a partial one, under a checkpoint over all. */
async function makeLog(directory: string, segmentBytes = 1 << 20): Promise<string> {
  const ledger = await openTestLedger(directory, { segmentBytes });
  for (let at = 0; at < COUNT; at += 100) {
    await Promise.all(Array.from({ length: Math.min(100, COUNT - at) }, (_, i) => ledger.append(facts({ id: `r${at + i + 1}` }))));
  }
  await ledger.close();
  return join(directory, 'logs', 'w1');
}

async function readLog(log: string): Promise<string[]> {
  const lines: string[] = [];
  for (const segment of await listSegments(log)) for await (const block of readSegment(segment)) lines.push(...block.lines);
  return lines;
}

/** Replaces the single segment of a log. */
async function writeLog(log: string, lines: readonly string[]): Promise<void> {
  await writeFile(join(log, 'segments', '0000000000000000.jsonl'), lines.map((line) => `${line}\n`).join(''));
}

/** The line with a change and the hash that then fits it: what an attacker without the keys can do. */
function rehash(line: string, change: (line: string) => string): string {
  const bare = change(line.replace(/,"hash":"[0-9a-f]{64}"(,"id")/, '$1'));
  return bare.replace(/,"id":/, `,"hash":"${leafHash(bare)}","id":`);
}

const edit = (line: string): string => line.replace('"outcome":"answered"', '"outcome":"refused"');

/** Lines from `at` on, each computed anew after the one before it. */
function rechain(lines: readonly string[], at: number): string[] {
  const out = lines.slice(0, at);
  for (const [i, line] of lines.slice(at).entries()) {
    const before = out.at(-1);
    const prev = before === undefined ? '0'.repeat(64) : parseLine(before)?.hash;
    out.push(rehash(line, (bare) => bare.replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${prev}"`).replace(/"seq":[0-9]+/, `"seq":${at + i}`)));
  }
  return out;
}

async function trusted(): Promise<string[]> {
  const { signer } = await testKeys();
  return signer.verifierKeys(`sallyport/${signer.fingerprint}/w1`);
}

async function verify(
  directory: string,
  options: VerifyOptions = {},
): Promise<{ report: LedgerReport; found: string[]; first: Problem | undefined }> {
  const report = await verifyLedger(directory, { publicKeys: await trusted(), ...options });
  const problems = report.logs.flatMap((log) => log.problems);
  return { report, found: problems.map(({ code, seq }) => `${code}${seq === null ? '' : ` ${seq}`}`), first: problems[0] };
}

for (const segmentBytes of [1 << 20, 100_000]) {
  test(`an untouched log verifies, in segments of ${segmentBytes} bytes`, async () => {
    await using directory = await TemporaryDirectory.create();
    await makeLog(directory.path, segmentBytes);
    const { report, found } = await verify(directory.path);
    assert.deepEqual(found, []);
    assert.equal(report.ok, true);
    const [log] = report.logs;
    assert.equal(log?.entries, 600);
    assert.equal(log?.checkpoint?.size, 600);
    assert.equal(log?.unsealed, 0);
    assert.equal(log?.keys, 'trusted');
    assert.equal((await verifyLedger(directory.path)).logs[0]?.keys, 'self-asserted');
  });
}

test('a log that is being written verifies, also between two checkpoints and in the middle of a line', async () => {
  await using directory = await TemporaryDirectory.create();
  await using ledger = await openTestLedger(directory.path, { checkpointInterval: 60_000 });
  await Promise.all(Array.from({ length: 700 }, () => ledger.append(facts())));
  const { report } = await verify(directory.path);
  assert.equal(report.ok, true);
  assert.equal(report.logs[0]?.unsealed, 700);
  await writeFile(join(directory.path, 'logs/w1/segments/0000000000000000.jsonl'), '{"action":"mod', { flag: 'a' });
  const { report: half } = await verify(directory.path);
  assert.equal(half.ok, true);
  assert.equal(half.logs[0]?.unfinished, 14);
});

/** What an attacker does to the lines of a log of 600, and what the verifier has to say first. */
const linear: [string, (lines: string[]) => string[], string[]][] = [
  ['bit flip', (l) => l.with(300, edit(l[300] ?? '')), ['altered 300']],
  ['bit flip in the last entry', (l) => l.with(599, (l[599] ?? '').replace('ledger.close', 'ledger.clone')), ['altered 599']],
  ['bit flip in the first entry', (l) => l.with(0, (l[0] ?? '').replace('"torn":0', '"torn":1')), ['altered 0']],
  ['bit flip that breaks the form', (l) => l.with(300, (l[300] ?? '').replace('{', '[')), ['altered 300']],
  ['bit flip in a number of an entry', (l) => l.with(300, (l[300] ?? '').replace('"seq":300', '"seq":301')), ['altered 300']],
  ['bit flip in a hash', (l) => l.with(300, (l[300] ?? '').replace(/"hash":"./, '"hash":"z')), ['altered 300']],
  ['edit with a fitting hash', (l) => l.with(300, rehash(l[300] ?? '', edit)), ['altered 300']],
  [
    'edit of the last entry with a fitting hash',
    (l) =>
      l.with(
        599,
        rehash(l[599] ?? '', (x) => x.replace('close', 'clone')),
      ),
    ['forked 599'],
  ],
  ['deletion', (l) => l.toSpliced(300, 1), ['missing 300']],
  ['deletion of many', (l) => l.toSpliced(100, 200), ['missing 100']],
  ['deletion of the first', (l) => l.slice(1), ['missing 0']],
  ['tail cut', (l) => l.slice(0, 590), ['cut 590']],
  ['tail cut to nothing', () => [], ['cut 0']],
  ['reorder of neighbours', (l) => l.with(300, l[301] ?? '').with(301, l[300] ?? ''), ['reordered 301']],
  ['reorder to a later place', (l) => [...l.slice(0, 100), ...l.slice(101, 500), l[100] ?? '', ...l.slice(500)], ['reordered 100']],
  ['reorder to an earlier place', (l) => [...l.slice(0, 100), l[500] ?? '', ...l.slice(100, 500), ...l.slice(501)], ['reordered 500']],
  ['reorder at the end', (l) => l.with(598, l[599] ?? '').with(599, l[598] ?? ''), ['reordered 599']],
  ['duplicate', (l) => l.toSpliced(300, 0, l[300] ?? ''), ['duplicated 300']],
  ['duplicate far away', (l) => l.toSpliced(500, 0, l[20] ?? ''), ['duplicated 20']],
  ['duplicate before its time', (l) => l.toSpliced(20, 0, l[500] ?? ''), ['duplicated 500']],
  ['insertion', (l) => l.toSpliced(300, 0, rehash(l[300] ?? '', edit)), ['inserted 300']],
  ['insertion after', (l) => l.toSpliced(301, 0, rehash(l[300] ?? '', edit)), ['inserted 300']],
  ['insertion of garbage', (l) => l.toSpliced(300, 0, 'not an entry'), ['inserted']],
  ['fork: an edit with the chain computed anew', (l) => rechain(l.with(300, edit(l[300] ?? '')), 300), ['forked 300']],
  ['fork in the unfinished tile', (l) => rechain(l.with(590, edit(l[590] ?? '')), 590), ['forked 590']],
  ['deletion with the chain computed anew', (l) => rechain(l.toSpliced(300, 1), 300), ['forked 300']],
  [
    'clock skew with the chain computed anew',
    (l) => rechain(l.with(300, (l[300] ?? '').replace(/"time":"2/, '"time":"1')), 300),
    ['clock 300'],
  ],
];

for (const [what, change, expected] of linear) {
  test(`found and located: ${what}`, async () => {
    await using directory = await TemporaryDirectory.create();
    const log = await makeLog(directory.path);
    await writeLog(log, change(await readLog(log)));
    const { report, found } = await verify(directory.path);
    assert.equal(report.ok, false);
    for (const problem of expected) assert.ok(found.includes(problem), `${found.slice(0, 10).join(', ')} holds ${problem}`);
    // Nothing else is blamed but what follows from it: a fork also shows in roots and tiles.
    if (!found.some((problem) => problem.startsWith('forked'))) assert.deepEqual(found, expected);
  });

  test(`found without tiles to tell: ${what}`, async () => {
    await using directory = await TemporaryDirectory.create();
    const log = await makeLog(directory.path);
    await writeLog(log, change(await readLog(log)));
    await rm(join(log, 'tile'), { recursive: true });
    const { found } = await verify(directory.path);
    const told = found.filter((problem) => problem !== 'tile');
    assert.notDeepEqual(told, []);
    // Without them a copy from afar cannot be told from a forgery, nor a chain computed anew be located.
    if (!/anew|fork|fitting|far away/.test(what)) assert.ok(told.includes(expected[0] ?? ''), told.join(', '));
  });
}

test('a problem names file and line', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const lines = await readLog(log);
  await writeLog(log, lines.with(300, edit(lines[300] ?? '')));
  const { first } = await verify(directory.path);
  assert.equal(first?.file, 'segments/0000000000000000.jsonl');
  assert.equal(first?.line, 301);
  assert.equal(first?.log, 'w1');
});

test('found: several edits, a deletion and a duplicate in one log', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const lines = await readLog(log);
  const changed = lines
    .with(10, edit(lines[10] ?? ''))
    .with(590, edit(lines[590] ?? ''))
    .toSpliced(400, 0, lines[399] ?? '')
    .toSpliced(200, 2);
  await writeLog(log, changed);
  const { found } = await verify(directory.path);
  assert.deepEqual(found.sort(), ['altered 10', 'altered 590', 'duplicated 399', 'missing 200']);
});

test('found: rollback to an earlier state, by a checkpoint that somebody kept', async () => {
  await using directory = await TemporaryDirectory.create();
  await using older = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  await cp(directory.path, older.path, { recursive: true });
  await (await openTestLedger(directory.path)).close();
  const kept = await readFile(join(log, 'checkpoint'), 'utf8');
  assert.deepEqual((await verify(older.path)).found, []);
  assert.deepEqual((await verify(older.path, { known: [kept] })).found, ['rolled-back 600']);
  assert.deepEqual((await verify(directory.path, { known: [kept] })).found, []);
});

test('found: a log shown in two versions, both signed', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const { signer } = await testKeys();
  const origin = `sallyport/${signer.fingerprint}/w1`;
  const other = signer.sign({ origin, size: 600, root: Buffer.alloc(32, 1) }, 1_800_000_000);
  const { found } = await verify(directory.path, { known: [other] });
  assert.ok(found.includes('forked'), found.join());
  const sooner = signer.sign({ origin, size: 400, root: Buffer.alloc(32, 1) }, 1_700_000_000);
  assert.ok((await verify(directory.path, { known: [sooner] })).found.some((problem) => problem.startsWith('forked')));
  assert.deepEqual((await verify(directory.path, { known: [await readFile(join(log, 'checkpoint'), 'utf8')] })).found, []);
});

test('found: another key in place of ours', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const stranger = createSigner([
    { type: 1, ...generateKeyPairSync('ed25519') },
    { type: 6, ...generateKeyPairSync('ml-dsa-44') },
  ]);
  const description = JSON.parse(await readFile(join(log, 'log.json'), 'utf8'));
  const { checkpoint } = openCheckpoint(await readFile(join(log, 'checkpoint'), 'utf8'), []);
  await writeFile(join(log, 'checkpoint'), stranger.sign(checkpoint, 1_800_000_000));
  await writeFile(join(log, 'log.json'), JSON.stringify({ ...description, keys: stranger.verifierKeys(description.origin) }));
  assert.ok((await verify(directory.path)).found.includes('unknown-key'));
  // Against its own directory alone the swap agrees with itself; the report says on which ground it stands.
  assert.equal((await verifyLedger(directory.path)).logs[0]?.keys, 'self-asserted');
});

test('found: a signature of one algorithm taken away', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const { text, signatures } = parseNote(await readFile(join(log, 'checkpoint'), 'utf8'));
  for (const keep of signatures) {
    await writeFile(join(log, 'checkpoint'), `${text}\n${formatSignatureLine(keep)}`);
    assert.ok((await verify(directory.path)).found.includes('unknown-key'));
  }
});

test('found: a checkpoint that was altered, removed, or taken from another log', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  await (await openTestLedger(directory.path, { writer: 'w2' })).close();
  const path = join(log, 'checkpoint');
  const note = await readFile(path, 'utf8');
  await writeFile(path, note.replace('\n600\n', '\n599\n'));
  assert.ok((await verify(directory.path, { logs: ['w1'] })).found.includes('bad-checkpoint'));
  await writeFile(path, await readFile(join(directory.path, 'logs/w2/checkpoint')));
  assert.ok((await verify(directory.path, { logs: ['w1'] })).found.includes('bad-checkpoint'));
  await rm(path);
  assert.deepEqual((await verify(directory.path, { logs: ['w1'] })).found, ['no-checkpoint']);
});

test('found: an old checkpoint in place of the newest', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path, 100_000);
  const kept = await readdir(join(log, 'checkpoints'));
  await cp(join(log, 'checkpoints', kept[0] ?? ''), join(log, 'checkpoint'));
  assert.ok((await verify(directory.path)).found.includes(`old-checkpoint ${Number(kept[0])}`));
});

test('found: entries dated after they were signed, or in the future', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const ledger = await openTestLedger(directory.path, { clock });
  const real = clock.time;
  clock.time += 3_600_000;
  await ledger.append(facts());
  clock.time = real;
  await ledger.checkpoint();
  assert.ok((await verify(directory.path)).found.includes('clock 1'));
  await ledger.close();
  assert.ok((await verify(directory.path, { now: real - 60_000 })).found.includes('clock 3'));
});

test('found: too few witnesses, and a witness that signed another tree', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const key = { type: 6, ...generateKeyPairSync('ml-dsa-44') } as const;
  const witnesses = [formatVerifierKey('witness.example/1', 6, key.publicKey)];
  assert.deepEqual((await verify(directory.path, { witnesses, quorum: 1 })).found, ['witness']);
  const path = join(log, 'checkpoint');
  const note = await readFile(path, 'utf8');
  const { checkpoint } = openCheckpoint(note, []);
  const cosigned = `${note}${formatSignatureLine(signCheckpoint(checkpoint, 'witness.example/1', key, 1_800_000_000))}`;
  await writeFile(path, cosigned);
  const { report, found } = await verify(directory.path, { witnesses, quorum: 1 });
  assert.deepEqual(found, []);
  assert.deepEqual(report.logs[0]?.checkpoint?.witnesses, ['witness.example/1']);
  const other = signCheckpoint({ ...checkpoint, root: Buffer.alloc(32) }, 'witness.example/1', key, 1_800_000_000);
  await writeFile(path, `${note}${formatSignatureLine(other)}`);
  assert.ok((await verify(directory.path, { witnesses, quorum: 1 })).found.includes('bad-checkpoint'));
});

test('found: an altered or missing tile', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  const path = join(log, 'tile/0/001');
  const tile = await readFile(path);
  tile[5] = (tile[5] ?? 0) ^ 1;
  await writeFile(path, tile);
  assert.deepEqual((await verify(directory.path)).found, ['tile']);
  await rm(path);
  assert.deepEqual((await verify(directory.path)).found, ['tile']);
});

test('found: a closed segment that is damaged, emptied or gone', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path, 100_000);
  const [, second] = await listSegments(log);
  assert.ok(second?.compressed);
  const bytes = await readFile(second.path);
  const middle = Math.floor(bytes.length / 2);
  await writeFile(second.path, bytes.with(middle, (bytes[middle] ?? 0) ^ 0xff));
  const damaged = (await verify(directory.path)).found;
  assert.ok(
    damaged.some((problem) => /^(unreadable|altered)/.test(problem)),
    damaged.join(),
  );
  await writeFile(second.path, bytes.subarray(0, bytes.length / 2));
  assert.ok((await verify(directory.path)).found.some((problem) => problem.startsWith('unreadable')));
  await rm(second.path);
  assert.deepEqual((await verify(directory.path)).found, [`missing ${second.first}`]);
});

test('found: a log that is gone altogether, or whose description is', async () => {
  await using directory = await TemporaryDirectory.create();
  const log = await makeLog(directory.path);
  await rm(join(log, 'log.json'));
  assert.ok((await verify(directory.path)).found.includes('unreadable'));
  await rm(log, { recursive: true });
  assert.deepEqual((await verify(directory.path)).found, ['unreadable']);
  assert.deepEqual((await verify(directory.path, { logs: ['w1'] })).found, ['unreadable']);
});

test('a line that is not UTF-8 is not taken for the one whose replacement characters it imitates', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  await ledger.append(facts({ resource: 'a\ufffdb' }));
  await ledger.close();
  const path = join(directory.path, 'logs/w1/segments/0000000000000000.jsonl');
  const bytes = await readFile(path);
  const at = bytes.indexOf('\ufffd');
  await writeFile(path, Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]));
  assert.deepEqual((await verify(directory.path)).found, ['altered 1']);
});

test('the verifier holds what the signer promises: vkeys parse back', async () => {
  for (const vkey of await trusted()) assert.equal(parseVerifierKey(vkey).name, vkey.split('+')[0]);
});
