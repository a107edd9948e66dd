import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { type EntryFilter, readEntries, readUnconcluded, UnreadableEntry } from '../src/index.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory } from './support.ts';

async function read(directory: string, filter: EntryFilter = {}): Promise<string[]> {
  const out: string[] = [];
  for await (const { log, entry } of readEntries(directory, filter))
    out.push(`${log} ${entry.kind === 'system' ? entry.action : entry.id}`);
  return out;
}

/** Two logs, written in turn by two clocks. */
async function twoLogs(directory: string): Promise<void> {
  const clock = new ManualClock();
  const [a, b] = [await openTestLedger(directory, { writer: 'a', clock }), await openTestLedger(directory, { writer: 'b', clock })];
  for (let i = 1; i <= 3; i++) {
    for (const [ledger, name] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      clock.time += 1000;
      const outcome = name === 'a' ? 'answered' : 'blocked';
      await ledger.append(
        facts({
          id: `${name}${i}`,
          outcome,
          principal: { id: `p${i}`, kind: 'person', tenant: name, credential: 'api-key:k' },
          source: { ip: `192.0.2.${i}`, port: 1, tls: null },
          digest: { prompt: String(i).repeat(64), reply: null },
        }),
      );
    }
  }
  await a.close();
  await b.close();
}

test('entries of several logs come merged by time', async () => {
  await using directory = await TemporaryDirectory.create();
  await twoLogs(directory.path);
  assert.deepEqual(
    (await read(directory.path, { kind: 'request' })).map((text) => text.slice(2)),
    ['a1', 'b1', 'a2', 'b2', 'a3', 'b3'],
  );
});

const queries: [EntryFilter, string[]][] = [
  [{ id: 'a2' }, ['a a2']],
  [{ principal: 'p2' }, ['a a2', 'b b2']],
  [{ principal: 'p2', tenant: 'b' }, ['b b2']],
  [{ ip: '192.0.2.3' }, ['a a3', 'b b3']],
  [{ outcome: 'blocked', since: '2026-01-01T00:00:04.000Z' }, ['b b2', 'b b3']],
  [{ kind: 'request', until: '2026-01-01T00:00:02.000Z' }, ['a a1']],
  [{ digest: '3'.repeat(64) }, ['a a3', 'b b3']],
  [{ finding: 'email', logs: ['b'] }, ['b b1', 'b b2', 'b b3']],
  [{ finding: 'pii', last: 2 }, ['a a3', 'b b3']],
  [{ model: 'chat', last: 3 }, ['b b2', 'a a3', 'b b3']],
  [{ model: 'other' }, []],
  [{ principal: 'a1' }, []],
  [{ action: 'ledger.open' }, ['a ledger.open', 'b ledger.open']],
  [{ logs: ['c'] }, []],
];

for (const [filter, expected] of queries) {
  test(`reads ${JSON.stringify(filter)}`, async () => {
    await using directory = await TemporaryDirectory.create();
    await twoLogs(directory.path);
    assert.deepEqual(await read(directory.path, filter), expected);
  });
}

test('the last entries are found across compressed segments', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { segmentBytes: 50_000 });
  for (let at = 0; at < 1000; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `r${at + i}` }))));
  await ledger.close();
  const last = await read(directory.path, { last: 700, kind: 'request' });
  assert.equal(last.length, 700);
  assert.equal(last[0], 'w1 r300');
  assert.equal(last.at(-1), 'w1 r999');
});

test('a reader that stops early leaves nothing open, and an empty ledger has no entries', async () => {
  await using directory = await TemporaryDirectory.create();
  assert.deepEqual(await read(directory.path), []);
  await twoLogs(directory.path);
  for await (const { entry } of readEntries(directory.path)) {
    assert.equal(entry.seq, 0);
    break;
  }
});

test('a line that is no entry is not passed on', async () => {
  await using directory = await TemporaryDirectory.create();
  await twoLogs(directory.path);
  await writeFile(join(directory.path, 'logs/a/segments/0000000000000000.jsonl'), '{"action":"forged"}\n', { flag: 'a' });
  await assert.rejects(read(directory.path), UnreadableEntry);
});

test('exchanges that began and never ended are found', async () => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  const [first] = await Promise.all(['x1', 'x2', 'x3'].map((id) => ledger.open(facts({ id }))));
  await first?.conclude(facts({ id: 'x1' }));
  await ledger.close();
  const found: string[] = [];
  for await (const { entry } of readUnconcluded(directory.path)) found.push(entry.id);
  assert.deepEqual(found, ['x2', 'x3']);
});
