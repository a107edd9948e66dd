import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Entry, loadLedgerKeys, openLedger, readEntries } from '@sallyport/ledger';
import { exchangeFacts } from '@sallyport/testkit/entry';
import { systemRandom } from '../src/installation.ts';
import { type Serving, startServing, until } from './serving.ts';
import { fill, smallDisk } from './small-disk.ts';

const YAML = 'upstreams: [ { name: demo, kind: demo } ]\nmodels: [ { name: one, upstream: demo } ]\n';

async function ask({ gatewayUrl, key }: Serving): Promise<number> {
  const answer = await fetch(`${gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'one', messages: [{ role: 'user', content: 'hello' }] }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** The answer to making a user. */
async function change({ controlUrl, ownerKey }: Serving, name: string): Promise<{ status: number; code: string | undefined }> {
  const answer = await fetch(`${controlUrl}/admin/v1/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ownerKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, roles: ['inference-only'] }),
  });
  const { code } = (await answer.json()) as { code?: string };
  return { status: answer.status, code };
}

async function recovered(serving: Serving): Promise<{ detail: { reason: string; refused: number; ended?: boolean } }[]> {
  const { stdout } = await serving.sallyport.run(['audit', 'query', '--action', 'ledger.recovered', '--json']);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function status(serving: Serving, path: string): Promise<number> {
  return (await fetch(`${serving.gatewayUrl}${path}`)).status;
}

describe('requests while the disk of the ledger is full', () => {
  for (const [policy, expected] of [
    ['refuse', 503],
    ['unsafe-continue-unrecorded', 200],
  ] as const) {
    it(`audit.onUnavailable: ${policy}`, async (context) => {
      const disk = await smallDisk(context);
      if (disk === null) return;
      await using serving = await startServing(
        `${YAML}audit: { directory: "${disk}/ledger", onUnavailable: ${policy}, recordFirst: [model.infer] }\n`,
      );
      assert.equal(await ask(serving), 200);
      assert.equal(await status(serving, '/health/ready'), 200);
      const ballast = fill(disk);
      // What is left of the last page takes a few entries.
      const seen: number[] = [];
      for (let i = 0; i < 12; i++) seen.push(await ask(serving));
      assert.deepEqual(seen.slice(-4), [expected, expected, expected, expected], seen.join());
      assert.equal(await status(serving, '/health/ready'), expected);
      assert.deepEqual(await change(serving, 'unrecorded'), { status: 503, code: 'not_ready' });
      rmSync(ballast);
      assert.notEqual(await until(async () => (await recovered(serving)).length > 0, 10_000), null, 'it goes on by itself');
      const [gap] = await recovered(serving);
      assert.equal(gap?.detail.reason, 'disk-full');
      assert.ok((gap?.detail.refused ?? 0) >= 4);
      assert.equal(await ask(serving), 200);
      assert.equal(await status(serving, '/health/ready'), 200);
      assert.equal((await change(serving, 'recorded')).status, 201);
      const { stdout } = await serving.sallyport.run(['users', 'list', '--json']);
      assert.ok(stdout.includes('recorded') && !stdout.includes('unrecorded'), stdout);
      assert.equal((await serving.sallyport.run(['audit', 'verify'])).code, 0);
    });
  }

  it('a gap that is open when the process is killed is told of by audit verify, and recorded by the next start', async (context) => {
    const disk = await smallDisk(context);
    if (disk === null) return;
    await using serving = await startServing(`${YAML}audit: { directory: "${disk}/ledger", onUnavailable: unsafe-continue-unrecorded }\n`);
    const ballast = fill(disk);
    for (let i = 0; i < 12; i++) assert.equal(await ask(serving), 200);
    const metrics = await (await fetch(`${serving.controlUrl}/metrics`)).text();
    assert.match(metrics, /^sallyport_ledger_append_seconds_count\{outcome="unrecorded"\} [1-9]/m);
    await serving.process().stop('SIGKILL');
    const { stdout, code } = await serving.sallyport.run(['audit', 'verify']);
    assert.equal(code, 0);
    assert.match(stdout, /serve has a gap that is not on record yet: at least \d+ entries were refused since 20.* \(disk-full\)/);
    rmSync(ballast);
    await serving.restart();
    const gap = (await recovered(serving)).at(-1)?.detail;
    assert.deepEqual([gap?.reason, gap?.ended], ['disk-full', false]);
    assert.doesNotMatch((await serving.sallyport.run(['audit', 'verify'])).stdout, /gap/);
  });
});

it('audit.retention: what is older goes when the server starts, and the rest still verifies', async () => {
  await using serving = await startServing(YAML);
  await serving.process().stop();
  const home = serving.sallyport.path('sp');
  const directory = join(home, 'ledger');
  const keys = await loadLedgerKeys(join(home, 'keys'), systemRandom);
  const day = 86_400_000;
  // One that is written, and one whose writer is not started any more.
  for (const writer of ['aged', 'gone']) {
    let time = Date.now() - 40 * day;
    const clock = { now: () => time, monotonic: () => performance.now() };
    const old = await openLedger({ ...keys, directory, writer, clock, random: systemRandom, segmentBytes: 100_000 });
    for (let i = 0; i < 30; i++, time += day)
      await Promise.all(Array.from({ length: 50 }, (_, n) => old.append(exchangeFacts({ id: `d${i}-${n}` }))));
    await old.close();
  }
  serving.configure(`${YAML}audit: { retention: 20d }\n`);
  const running = await serving.sallyport.start(['serve', '--writer', 'aged']);
  const entries = async (log: string): Promise<Entry[]> => Array.fromAsync(readEntries(directory, { logs: [log] }), ({ entry }) => entry);
  try {
    await running.waitFor(/Gateway {3}http/, 60_000);
    for (const log of ['aged', 'gone']) {
      const removed = async (): Promise<Entry | undefined> => (await entries(log)).find(({ action }) => action === 'ledger.retention');
      assert.notEqual(await until(async () => (await removed()) !== undefined, 10_000), null, log);
      const bound = (await removed())?.detail['until'];
      assert.notEqual(await until(async () => (await entries(log))[0]?.seq === bound, 10_000), null);
      // Whole segments alone: the oldest that is left may hold a day or two more.
      const [first] = await entries(log);
      assert.ok(Date.parse(first?.time ?? '') > Date.now() - 31 * day);
    }
  } finally {
    await running.stop();
  }
  assert.equal((await serving.sallyport.run(['audit', 'verify'])).code, 0);
});
