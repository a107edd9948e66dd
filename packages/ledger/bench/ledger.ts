import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '@sallyport/core';
import { exchangeFacts } from '@sallyport/testkit/entry';
import { type Ledger, loadLedgerKeys, openLedger, readEntries, verifyLedger } from '../src/index.ts';
import { serialiseEntry } from '../src/serialise.ts';

/*
 * node packages/ledger/bench/ledger.ts [--entries 300000] [--directory /path/on/the/disk/to/measure]
 *
 * Prints one JSON object a line: throughput with a window of concurrent appends, latency at an offered rate, processor time of one
 * append, verification, a query. Every append is durable (fdatasync).
 */
const { values } = parseArgs({
  options: { entries: { type: 'string', default: '300000' }, directory: { type: 'string', default: tmpdir() } },
});
const entries = Number(values.entries);
const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
const directory = await mkdtemp(join(values.directory, 'sallyport-bench-'));

/** 890 bytes in the ledger. */
const facts = exchangeFacts({
  id: 'req_01JD3Q9V5TA0000000000000',
  principal: { id: 'alice@acme.example', kind: 'person', tenant: 'acme', credential: 'api-key:k_7f3a2b1c' },
  usage: { input: 312, output: 128, cached: 0, exact: true },
  digest: { prompt: 'a'.repeat(64), reply: 'b'.repeat(64) },
});

function report(what: string, figures: Record<string, number>): void {
  const rounded = Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]);
  process.stdout.write(`${JSON.stringify({ bench: what, ...Object.fromEntries(rounded) })}\n`);
}

function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}

/** Keeps `window` appends in flight until `count` are durable. */
async function throughput(ledger: Ledger, count: number, window: number): Promise<void> {
  let started = 0;
  const worker = async (): Promise<void> => {
    while (started < count) {
      started++;
      await ledger.append(facts);
    }
  };
  const cpu = process.cpuUsage();
  const from = performance.now();
  await Promise.all(Array.from({ length: window }, worker));
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  report('append, window', { window, entriesPerSecond: count / seconds, cpuMicrosecondsPerEntry: (user + system) / count });
}

/** Offers `rate` appends a second for `seconds`, spread over millisecond ticks, and measures each. */
async function latency(ledger: Ledger, rate: number, seconds: number): Promise<void> {
  const taken: number[] = [];
  const waiting: Promise<void>[] = [];
  const one = async (): Promise<void> => {
    const from = performance.now();
    await ledger.append(facts);
    taken.push(performance.now() - from);
  };
  const from = performance.now();
  for (let sent = 0; sent < rate * seconds; ) {
    const due = Math.min(rate * seconds, ((performance.now() - from) / 1000) * rate);
    for (; sent < due; sent++) waiting.push(one());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(waiting);
  taken.sort((a, b) => a - b);
  report('append, offered rate', {
    entriesPerSecond: rate,
    p50Milliseconds: percentile(taken, 0.5),
    p99Milliseconds: percentile(taken, 0.99),
    p999Milliseconds: percentile(taken, 0.999),
  });
}

try {
  const keys = await loadLedgerKeys(join(directory, 'keys'), random);
  const open = (): Promise<Ledger> => openLedger({ ...keys, directory, writer: 'bench', clock: systemClock, random });

  const rounds = 200_000;
  for (let i = 0; i < 20_000; i++) serialiseEntry(facts, i, '2026-01-02T03:04:05.678Z', 'c'.repeat(64));
  let from = performance.now();
  for (let i = 0; i < rounds; i++) serialiseEntry(facts, i, '2026-01-02T03:04:05.678Z', 'c'.repeat(64));
  report('serialise', { microseconds: ((performance.now() - from) * 1000) / rounds });

  let ledger = await open();
  await throughput(ledger, Math.min(entries, 50_000), 1000);
  await throughput(ledger, entries, 1000);
  await throughput(ledger, entries, 5000);
  // Closing waits for the tiles and the compression of what came before.
  await ledger.close();
  ledger = await open();
  await latency(ledger, 1000, 3);
  await latency(ledger, 5000, 3);
  await latency(ledger, 20_000, 3);
  const prompt = 'What may I say about this? '.repeat(80);
  from = performance.now();
  for (let i = 0; i < rounds; i++) ledger.digest(prompt);
  report('digest of 2 KB', { microseconds: ((performance.now() - from) * 1000) / rounds });
  await ledger.close();

  from = performance.now();
  await (await open()).close();
  report('open and close', { milliseconds: performance.now() - from });

  from = performance.now();
  const verified = await verifyLedger(directory);
  if (!verified.ok) throw new Error('the log does not verify');
  report('verify', { entries: verified.entries, entriesPerSecond: verified.entries / ((performance.now() - from) / 1000) });

  from = performance.now();
  let found = 0;
  for await (const _entry of readEntries(directory, { principal: 'nobody' })) found++;
  report('query without a match', { found, entriesPerSecond: verified.entries / ((performance.now() - from) / 1000) });
} finally {
  await rm(directory, { recursive: true });
}
