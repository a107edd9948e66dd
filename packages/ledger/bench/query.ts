import { hash } from 'node:crypto';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { EntryFacts } from '@sallyport/core';
import { compressFrame } from '../src/frames.ts';
import { buildIndexes, type EntryFilter, readEntries } from '../src/index.ts';
import { leafHash } from '../src/merkle.ts';
import { segmentPath } from '../src/segment.ts';
import { serialiseEntry } from '../src/serialise.ts';

/*
 * node packages/ledger/bench/query.ts [--entries 1000000] [--directory /where/it/fits] [--keep]
 *
 * Writes a log of chained entries (compressed segments, as a server leaves them; no tiles and checkpoints, which reading does not need),
 * then measures queries with and without the index. `--keep` keeps the log, and finds one that was kept. 10 million entries take 3.6 GB.
 */
const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    directory: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
  },
});
const entries = Number(values.entries);
const directory = values.keep
  ? join(values.directory, `sallyport-query-${entries}`)
  : await mkdtemp(join(values.directory, 'sallyport-query-'));
const START = Date.UTC(2026, 0, 1);
const SEGMENT_BYTES = 16 << 20;

function facts(n: number): EntryFacts {
  const digest = hash('sha256', String(n), 'hex');
  return {
    id: Buffer.from(digest.slice(0, 24), 'hex').toString('base64url'),
    kind: 'request',
    principal: { id: `user-${n % 5_003}@acme.example`, kind: 'person', tenant: `tenant-${n % 97}`, credential: `api-key:k_${n % 5_003}` },
    source: { ip: `10.${n % 7}.${n % 251}.${n % 241}`, port: 1024 + (n % 60_000), tls: 'TLSv1.3' },
    action: 'model.infer',
    resource: `model-${n % 13}`,
    decision: { effect: 'permit', rule: 'role:user' },
    model: { name: `model-${n % 13}`, upstream: 'vllm', artifact: `sha256:${'ab'.repeat(32)}` },
    usage: { input: n % 4_001, output: n % 997, cached: 0, exact: true },
    latency: { overhead: (n % 1_000) / 100, ttft: n % 500, total: n % 20_000 },
    verdicts: n % 10_007 === 0 ? [{ detector: 'injection', action: 'block', category: 'override', count: 1 }] : [],
    outcome: n % 10_007 === 0 ? 'blocked' : 'answered',
    fault: n % 10_007 === 0 ? 'content_blocked' : null,
    digest: { prompt: digest, reply: hash('sha256', `reply ${n}`, 'hex') },
    detail: { endpoint: 'openai.chat', attempts: 1, reason: null },
  };
}

async function generate(): Promise<void> {
  const log = join(directory, 'logs', 'serve');
  await mkdir(join(log, 'segments'), { recursive: true });
  let prev = '0'.repeat(64);
  let tile = '';
  let bytes = 0;
  let first = 0;
  // The frames are compressed in libuv's threads while the next entries are made, and a segment is written while the next one is.
  let frames: Promise<Buffer>[] = [];
  let written = Promise.resolve();
  for (let n = 0; n < entries; n += 1) {
    const { head, tail } = serialiseEntry(facts(n), n, new Date(START + n * 250).toISOString(), prev);
    prev = leafHash(head + tail);
    tile += `${head},"hash":"${prev}"${tail}\n`;
    if ((n + 1) % 256 !== 0 && n + 1 < entries) continue;
    bytes += tile.length;
    frames.push(compressFrame(Buffer.from(tile)));
    tile = '';
    if (bytes < SEGMENT_BYTES && n + 1 < entries) continue;
    const path = `${segmentPath(log, first)}.zst`;
    await written;
    written = Promise.all(frames).then((all) => writeFile(path, Buffer.concat(all)));
    first = n + 1;
    frames = [];
    bytes = 0;
  }
  await written;
}

async function query(what: string, filter: EntryFilter, index = true): Promise<void> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  let found = 0;
  for await (const _entry of readEntries(directory, filter, { index })) found += 1;
  const { user, system } = process.cpuUsage(cpu);
  print({ query: what, index, found, seconds: (performance.now() - began) / 1000, cpuSeconds: (user + system) / 1e6 });
}

function print(figures: Record<string, string | number | boolean>): void {
  const rounded = Object.entries(figures).map(([name, value]) => [name, typeof value === 'number' ? Number(value.toPrecision(4)) : value]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(rounded))}\n`);
}

const began = performance.now();
const there = await access(join(directory, 'logs')).then(
  () => true,
  () => false,
);
if (!there) await generate();
print({ entries, generated: !there, seconds: (performance.now() - began) / 1000 });
const building = performance.now();
const { built } = await buildIndexes(directory);
print({ built, seconds: (performance.now() - building) / 1000 });
const some = facts(Math.floor(entries / 3));
await query('one request id', { id: some.id });
await query('a request id nobody has', { id: 'nobody' });
await query('a digest of a prompt', { digest: some.digest.prompt ?? '' });
await query('one principal of 5,003, one day', {
  principal: some.principal?.id ?? '',
  since: new Date(START + 86_400_000).toISOString(),
  until: new Date(START + 2 * 86_400_000).toISOString(),
});
await query('all that was blocked', { outcome: 'blocked' });
await query('one principal of 5,003, all time', { principal: some.principal?.id ?? '' });
await query('the last 50 of a principal', { principal: some.principal?.id ?? '', last: 50 });
await query('the last 50 of a principal that is not there', { principal: 'nobody', last: 50 });
await query('one request id', { id: some.id }, false);
if (!values.keep) await rm(directory, { recursive: true });
