import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { attestScan, readPrivateKey } from '@sallyport/scanner';
import { MAIN } from './command.ts';

/** A call of os.system that no test loads, and one of a class nobody knows. */
const EVIL = Buffer.from('80048c05706f7369788c0673797374656d938c046563686f85522e', 'hex');
const UNKNOWN = Buffer.from('80048c0461636d658c055468696e6793295229302e', 'hex');

function inAMonth(): string {
  return new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
}

describe('models sign, verify, bom, and what scan leaves behind', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'models-sign-'));
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(directory, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(directory, 'pub.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    mkdirSync(join(directory, 'model'));
    writeFileSync(join(directory, 'model', 'config.json'), '{}');
    writeFileSync(join(directory, 'evil.bin'), EVIL);
    writeFileSync(join(directory, 'unknown.bin'), UNKNOWN);
  });
  after(() => rmSync(directory, { recursive: true }));

  function run(...args: readonly string[]): { code: number | null; out: string; err: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
      cwd: directory,
      env: { ...process.env, SALLYPORT_HOME: join(directory, 'home') },
      timeout: 60_000,
    });
    return { code: status, out: stdout.toString(), err: stderr.toString() };
  }

  it('signs a directory, verifies it, and refuses it once a file changed', () => {
    assert.equal(run('models', 'sign', 'model', '--key', 'key.pem').code, 0);
    assert.equal(run('models', 'verify', 'model', '--public-key', 'pub.pem').code, 0);
    writeFileSync(join(directory, 'model', 'config.json'), '{ }');
    const { code, out } = run('models', 'verify', 'model', '--public-key', 'pub.pem', '--json');
    const report = JSON.parse(out) as { verified: boolean; problems: { problem: string; file: string }[] };
    assert.deepEqual([code, report.verified, report.problems[0]?.problem, report.problems[0]?.file], [1, false, 'changed', 'config.json']);
  });
  it('wrong use is 2 and says what to give', () => {
    const { code, err } = run('models', 'verify', 'model');
    assert.deepEqual([code, /exactly one of --public-key/.test(err)], [2, true]);
    assert.equal(run('models', 'verify', 'model', '--trust-root', 'pub.pem').code, 2);
    assert.equal(run('models', 'sign', 'model', '--key', 'pub.pem').code, 2);
    writeFileSync(join(directory, 'SHA256SUMS'), `${'0'.repeat(64)}  config.json\n`);
    const both = run('models', 'verify', 'model', '--public-key', 'pub.pem', '--checksums', 'SHA256SUMS');
    assert.deepEqual([both.code, /exactly one of --public-key/.test(both.err)], [2, true]);
  });
  it('an attested scan vouches for the file it is of, and for no other', () => {
    run('models', 'scan', 'model', '--fail-on', 'never', '--attest', 'scans.jsonl', '--attest-key', 'key.pem', '--no-record');
    const attested = (file: string): number | null =>
      run('models', 'verify', file, '--attestations', 'scans.jsonl', '--public-key', 'pub.pem').code;
    assert.deepEqual([attested('model/config.json'), attested('evil.bin')], [0, 1]);
  });
  it('the worst that was attested of a file counts, whatever else was', () => {
    const [line = ''] = readFileSync(join(directory, 'scans.jsonl'), 'utf8').split('\n');
    const clean = join(directory, 'model', 'config.json');
    const sha256 = createHash('sha256').update(readFileSync(clean)).digest('hex');
    const report = { path: 'x', sha256, size: 1, format: 'json', verdict: 'malicious', findings: [], rules: 'x' } as const;
    const bad = attestScan(report, { privateKey: readPrivateKey(readFileSync(join(directory, 'key.pem'))) });
    for (const lines of [`${line}\n${bad}`, `${bad}\n${line}`]) {
      writeFileSync(join(directory, 'both.jsonl'), lines);
      const { code, out } = run('models', 'verify', 'model/config.json', '--attestations', 'both.jsonl', '--public-key', 'pub.pem');
      assert.deepEqual([code, /the scan found it malicious/.test(out)], [1, true]);
    }
  });
  it('what was accepted for a while is not attested as clean', () => {
    const sha256 = createHash('sha256').update(UNKNOWN).digest('hex');
    const accept = (rule: string): object => ({ sha256, rule, reason: 'our own class', expires: inAMonth() });
    const rules = ['pickle-unknown-import', 'pickle-unknown-call'];
    writeFileSync(join(directory, 'accepted.json'), JSON.stringify({ suppressions: rules.map(accept) }));
    const scan = ['models', 'scan', 'unknown.bin', '--suppressions', 'accepted.json', '--no-record'];
    assert.equal(run(...scan, '--attest', 'accepted.jsonl', '--attest-key', 'key.pem').code, 0);
    const { code, out } = run('models', 'verify', 'unknown.bin', '--attestations', 'accepted.jsonl', '--public-key', 'pub.pem');
    assert.deepEqual([code, /the scan found it suspicious/.test(out)], [1, true]);
  });
  it('writes a bill of materials', () => {
    const { code, out } = run('models', 'bom', 'model');
    const bom = JSON.parse(out) as { specVersion: string; components: { name: string }[] };
    assert.deepEqual([code, bom.specVersion], [0, '1.7']);
    assert.ok(bom.components.some(({ name }) => name === 'config.json'));
  });
  it('suppressions and JUnit', () => {
    const [report] = run('models', 'scan', 'unknown.bin', '--json', '--no-record').out.trim().split('\n');
    const { sha256, findings } = JSON.parse(report ?? '') as { sha256: string; findings: { rule: string }[] };
    const expires = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    const suppressions = [...new Set(findings.map(({ rule }) => rule))].map((rule) => ({
      sha256,
      rule,
      reason: 'reviewed by us',
      expires,
    }));
    writeFileSync(join(directory, 'suppressions.json'), JSON.stringify({ suppressions }));
    const { code, out } = run('models', 'scan', 'unknown.bin', '--suppressions', 'suppressions.json', '--junit', '--no-record');
    assert.deepEqual([code, /failures="0"/.test(out)], [0, true]);
    assert.match(run('models', 'scan', 'evil.bin', '--junit', '--no-record').out, /<failure type="malicious"/);
  });
  it('findings go to the ledger of an installation, by digest and not by name', () => {
    assert.equal(run('init', '--json').code, 0);
    assert.equal(run('models', 'scan', 'evil.bin').code, 1);
    const { out } = run('audit', 'query', '--kind', 'finding', '--json');
    const entries = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { action: string; resource: string; detail: Record<string, unknown> });
    const entry = entries.find(({ action }) => action === 'models.scan');
    assert.match(entry?.resource ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.equal(entry?.detail['verdict'], 'malicious');
    assert.doesNotMatch(out, /evil\.bin/);
    assert.ok(readFileSync(join(directory, 'evil.bin')).equals(EVIL));
  });
});
