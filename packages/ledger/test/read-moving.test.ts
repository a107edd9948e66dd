import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import type { EntryFacts } from '@sallyport/core';
import { buildIndexes, type EntryFilter, type Ledger, readEntries, verifyLedger } from '../src/index.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory } from './support.ts';

const WRITERS = ['a', 'b', 'c'] as const;
const OUTCOMES = ['answered', 'blocked', 'refused', 'cut'] as const;

/** The `i`-th entry of a writer: each value that can be asked for is one of a few. */
function entryOf(writer: string, i: number): EntryFacts {
  return facts({
    id: `${writer}-${i}`,
    principal: { id: `p${i % 7}`, kind: 'person', tenant: `t${i % 3}`, credential: `api-key:k${i % 5}` },
    source: { ip: `192.0.2.${i % 11}`, port: 1, tls: null },
    action: i % 2 === 0 ? 'model.infer' : 'model.embed',
    resource: `m${i % 4}`,
    model: { name: `m${i % 4}`, upstream: 'one', artifact: null },
    outcome: OUTCOMES[i % 4] ?? 'answered',
    fault: i % 4 === 0 ? null : `fault-${i % 4}`,
    verdicts: i % 6 === 0 ? [{ detector: 'pii', action: 'redact', category: 'email', count: 1 }] : [],
    digest: { prompt: String(i % 10).repeat(64), reply: null },
    detail: i % 9 === 0 ? { opened: i } : {},
  });
}

/** Every filter there is, and which of the entries above it means. */
const FILTERS: readonly (readonly [EntryFilter, (writer: string, i: number) => boolean])[] = [
  [{ kind: 'request' }, () => true],
  [{ id: 'b-77' }, (writer, i) => writer === 'b' && i === 77],
  [{ principal: 'p3' }, (_, i) => i % 7 === 3],
  [{ tenant: 't1' }, (_, i) => i % 3 === 1],
  [{ credential: 'api-key:k2' }, (_, i) => i % 5 === 2],
  [{ ip: '192.0.2.10' }, (_, i) => i % 11 === 10],
  [{ action: 'model.embed' }, (_, i) => i % 2 === 1],
  [{ resource: 'm1' }, (_, i) => i % 4 === 1],
  [{ model: 'm2' }, (_, i) => i % 4 === 2],
  [{ outcome: 'blocked' }, (_, i) => i % 4 === 1],
  [{ fault: 'fault-3' }, (_, i) => i % 4 === 3],
  [{ finding: 'email' }, (_, i) => i % 6 === 0],
  [{ digest: '4'.repeat(64) }, (_, i) => i % 10 === 4],
  [{ detail: 'opened' }, (_, i) => i % 9 === 0],
  [{ logs: ['a', 'c'], kind: 'request' }, (writer) => writer !== 'b'],
  [{ principal: 'p0', outcome: 'answered', finding: 'pii' }, (_, i) => i % 7 === 0 && i % 4 === 0 && i % 6 === 0],
];

/** Reads and checks: each log in its order, nothing twice, all of `from` to `until` that the filter means, and nothing that it does not. */
async function expectAnswer(
  directory: string,
  [filter, means]: (typeof FILTERS)[number],
  { from = 0, until }: { from?: number; until: number },
): Promise<void> {
  const found = new Map<string, number[]>(WRITERS.map((writer) => [writer, []]));
  let time = '';
  for await (const { log, entry } of readEntries(directory, filter)) {
    const i = Number(entry.id.slice(2));
    assert.ok(entry.time >= time, 'merged by time');
    time = entry.time;
    assert.ok(entry.kind === 'request' && means(log, i), `${JSON.stringify(filter)} does not mean ${entry.id}`);
    assert.ok(i > (found.get(log)?.at(-1) ?? -1), `${entry.id} is in order, and once`);
    found.get(log)?.push(i);
  }
  for (const writer of WRITERS) {
    if (filter.logs?.includes(writer) === false) continue;
    const wanted = Array.from({ length: until - from }, (_, n) => from + n).filter((i) => means(writer, i));
    const missing = new Set(wanted).difference(new Set(found.get(writer)));
    assert.deepEqual([...missing], [], `${writer}: ${JSON.stringify(filter)} misses`);
  }
}

async function openAll(stack: AsyncDisposableStack, directory: string, clock: ManualClock): Promise<Ledger[]> {
  const open = (writer: string): Promise<Ledger> => openTestLedger(directory, { writer, clock, segmentBytes: 60_000, retryInterval: 5 });
  return Promise.all(WRITERS.map(async (writer) => stack.use(await open(writer))));
}

test('every filter answers right over several logs, while they are written, closed, compressed and indexed', async () => {
  await using directory = await TemporaryDirectory.create();
  await using stack = new AsyncDisposableStack();
  const ledgers = await openAll(stack, directory.path, new ManualClock());
  let written = 0;
  let writing = true;
  const writer = (async () => {
    while (writing && written < 2000) {
      await Promise.all(
        ledgers.flatMap((ledger, w) => Array.from({ length: 40 }, (_, n) => ledger.append(entryOf(WRITERS[w] ?? '', written + n)))),
      );
      written += 40;
    }
  })();
  const indexer = (async () => {
    while (writing) await buildIndexes(directory.path);
  })();
  try {
    for (const one of FILTERS) await expectAnswer(directory.path, one, { until: written });
  } finally {
    writing = false;
    await writer;
    await indexer;
  }
  // And once more when all stands still.
  for (const one of FILTERS) await expectAnswer(directory.path, one, { until: written });
  const segments = await readdir(join(directory.path, 'logs/a/segments'));
  assert.ok(
    segments.some((name) => name.endsWith('.zst')),
    'segments were compressed',
  );
});

test('what retention removes meanwhile is missing from the front, and nothing else is', async () => {
  await using directory = await TemporaryDirectory.create();
  await using stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const ledgers = await openAll(stack, directory.path, clock);
  const DAY = 86_400_000;
  for (let day = 0; day < 10; day++) {
    await Promise.all(
      ledgers.flatMap((ledger, w) => Array.from({ length: 200 }, (_, n) => ledger.append(entryOf(WRITERS[w] ?? '', day * 200 + n)))),
    );
    clock.time += DAY;
  }
  const removing = (async () => {
    for (let day = 8; day >= 3; day--) for (const ledger of ledgers) await ledger.retain(clock.time - day * DAY);
  })();
  // Of the last three days all is there whatever is removed.
  for (const one of FILTERS) await expectAnswer(directory.path, one, { from: 1400, until: 2000 });
  await removing;
  for (const one of FILTERS) await expectAnswer(directory.path, one, { from: 1400, until: 2000 });
  const { ok, logs } = await verifyLedger(directory.path, { now: clock.time });
  assert.ok(ok);
  assert.ok(
    logs.every(({ first }) => first > 0),
    'something was removed',
  );
});

test('the last of a log whose clock went back are those written last', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await using ledger = await openTestLedger(directory.path, { clock });
  for (const [id, step] of [
    ['first', 0],
    ['second', 60_000],
    ['third', -50_000],
  ] as const) {
    clock.time += step;
    await ledger.append(facts({ id }));
  }
  const last = await Array.fromAsync(readEntries(directory.path, { last: 2, kind: 'request' }), ({ entry }) => entry.id);
  assert.deepEqual(last, ['second', 'third']);
});
