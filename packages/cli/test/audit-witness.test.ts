import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { freePort, type Launched, type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import { Sallyport } from './command.ts';

/** Two machines: one with the ledger, one that is its witness. */
describe('a witness on another machine', () => {
  let homes: readonly TemporaryDirectory[] = [];
  let gateway: Sallyport;
  let running: Launched;
  let url = '';
  let logKeys: string[] = [];
  let witnessKeys: string[] = [];

  const flags = (option: string, keys: readonly string[]): string[] => keys.flatMap((key) => [option, key]);
  const cosign = () => gateway.run(['audit', 'cosign', url, ...flags('--witness-key', witnessKeys), '--json']);
  const verify = () => gateway.run(['audit', 'verify', ...flags('--witness-key', witnessKeys), '--json']);

  before(async () => {
    homes = [await temporaryDirectory(), await temporaryDirectory()];
    const [here, there] = homes.map(({ path }) => new Sallyport(path));
    assert.ok(here !== undefined && there !== undefined);
    gateway = here;
    assert.equal((await gateway.run(['init', '--json'])).code, 0);
    logKeys = JSON.parse(readFileSync(gateway.path('sp/ledger/logs/cli/log.json'), 'utf8')).keys;
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const args = ['--name', 'witness.example/gw', ...flags('--log-key', logKeys), '--listen', `127.0.0.1:${port}`];
    running = await there.start(['audit', 'witness', ...args]);
    await running.waitFor(/listens on/, 60_000);
    witnessKeys = running.stdout.trim().split('\n');
    assert.equal(witnessKeys.length, 2);
  });
  after(async () => {
    await running.stop();
    for (const home of homes) await home[Symbol.asyncDispose]();
  });

  it('cosigns what only grew; verify counts it, and misses it before', async () => {
    assert.equal((await verify()).code, 1);
    const cosigned = await cosign();
    assert.equal(cosigned.code, 0, cosigned.stderr);
    const report = await verify();
    assert.equal(report.code, 0, report.stdout);
    const { size, witnesses, cosigned: covered } = JSON.parse(report.stdout).logs[0].checkpoint;
    assert.deepEqual(witnesses, ['witness.example/gw']);
    assert.equal(covered.size, size);
    assert.ok(covered.age >= 0);
    const told = await gateway.run(['audit', 'verify', ...flags('--witness-key', witnessKeys)]);
    assert.match(told.stdout, new RegExp(`SEALED +COSIGNED.*\\n.* ${size} +${size}, \\d+ (s|min) ago`));
    const keyless = await gateway.run(['audit', 'verify', '--quorum', '1']);
    assert.equal(keyless.code, 2);
    assert.match(keyless.stderr, /--quorum: .* add --witness-key/);
    const origin = createHash('sha256').update(JSON.parse(report.stdout).logs[0].origin).digest('hex');
    const newest = await (await fetch(`${url}/${origin}/checkpoint`)).text();
    assert.equal(newest, readFileSync(gateway.path('sp/ledger/logs/cli/cosigned'), 'utf8'));
  });

  it('does not cosign an older state of the log', async () => {
    const ledger = gateway.path('sp/ledger');
    cpSync(ledger, gateway.path('copy'), { recursive: true });
    assert.equal((await gateway.run(['keys', 'create', '--name', 'k2', '--role', 'user'])).code, 0);
    assert.equal((await cosign()).code, 0);
    rmSync(ledger, { recursive: true });
    cpSync(gateway.path('copy'), ledger, { recursive: true });
    const refused = await cosign();
    assert.equal(refused.code, 1);
    assert.equal(JSON.parse(refused.stdout).size, null);
  });

  it('takes nothing else from anybody', async () => {
    for (const [method, path, body, status] of [
      ['POST', '/add-checkpoint', 'x', 400],
      ['POST', '/add-checkpoint', 'x'.repeat(1 << 19), 413],
      ['POST', '/other', 'x', 404],
      ['GET', '/add-checkpoint', null, 404],
      ['GET', '/../keys/witness-ed25519.pem', null, 404],
      ['GET', `/${'0'.repeat(64)}/checkpoint`, null, 404],
    ] as const) {
      const answer = await fetch(`${url}${path}`, { method, body }).catch(() => null);
      // A body that is cut off may break the connection before the answer is read.
      if (answer !== null || status !== 413) assert.equal(answer?.status, status, `${method} ${path}`);
      await answer?.arrayBuffer();
    }
    const silent = createConnection(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    silent.write('POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n');
    assert.equal((await fetch(`${url}/nothing`)).status, 404, 'one that waits holds up nobody');
    silent.destroy();
  });

  it('goes on with the other logs where one is damaged, and says which', async () => {
    writeFileSync(gateway.path('sp/ledger/logs/cli/cosigned'), 'junk');
    const config = gateway.path('sallyport.yaml');
    writeFileSync(config, 'upstreams: [ { name: demo, kind: demo } ]\nmodels: [ { name: one, upstream: demo } ]\n');
    // A second log, of which the witness knows nothing.
    const serving = await gateway.start(['serve', '--config', config, '--writer', 'second']);
    await serving.waitFor(/Gateway {3}http/, 60_000);
    await serving.stop();
    const damaged = await cosign();
    assert.equal(damaged.code, 1, damaged.stderr);
    const rows = damaged.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      rows.map(({ log }) => log),
      ['cli', 'second'],
    );
    assert.match(rows[0].problem, /cosigned is no cosigned checkpoint .*; remove it/);
    assert.match(rows[1].problem, /the witness answered 404/);
    const away = await gateway.run(['audit', 'cosign', 'http://127.0.0.1:1', ...flags('--witness-key', witnessKeys), '--json']);
    assert.equal(away.code, 1, away.stderr);
    assert.equal(away.stdout.trim().split('\n').length, 2);
  });

  it('a third party checks a proof with the public keys alone', async () => {
    const { stdout: proof } = await gateway.run(['audit', 'prove', 'cli', '1']);
    const elsewhere = new Sallyport(homes[1]?.path ?? '');
    const check = (text: string, keys = logKeys) => elsewhere.run(['audit', 'check-proof', '-', ...flags('--public-key', keys)], text);
    const good = await check(proof);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /^Entry 1 is in the log sallyport\/[0-9a-f]{8}\/cli of \d+ entries, signed 20/);
    assert.equal((await check(proof.replace('installation.create', 'installation.forged'))).code, 1);
    assert.equal((await check(proof, witnessKeys)).code, 1);
    assert.equal((await check('{}')).code, 2);
  });
});
