import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MAIN } from './command.ts';

/** `[1, 2]`, and a call of os.system that no test loads. */
const PLAIN = Buffer.from('80045d94284b014b02652e', 'hex');
const EVIL = Buffer.from('80048c05706f7369788c0673797374656d938c046563686f85522e', 'hex');

describe('models scan', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'models-'));
    writeFileSync(join(directory, 'good.pkl'), PLAIN);
    writeFileSync(join(directory, 'bad.bin'), EVIL);
  });
  after(() => rmSync(directory, { recursive: true }));

  function scan(args: readonly string[], input: Buffer = Buffer.alloc(0)): { code: number | null; out: string; err: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'models', 'scan', ...args], {
      cwd: directory,
      input,
      timeout: 20_000,
    });
    return { code: status, out: stdout.toString(), err: stderr.toString() };
  }

  it('prints one object a file, and exits 1 where one is not clean', () => {
    const { code, out } = scan(['.', '--json']);
    const reports = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { path: string; verdict: string; format: string; sha256: string });
    assert.deepEqual(
      reports.map(({ path, verdict, format }) => [path, verdict, format]),
      [
        ['bad.bin', 'malicious', 'pickle'],
        ['good.pkl', 'clean', 'pickle'],
      ],
    );
    assert.match(reports[0]?.sha256 ?? '', /^[0-9a-f]{64}$/);
    assert.equal(code, 1);
  });
  it('takes patterns and stdin, and fails from the verdict asked for', () => {
    assert.equal(scan(['*.pkl']).code, 0);
    assert.equal(scan(['bad.bin', '--fail-on', 'never']).code, 0);
    const { code, out } = scan(['-', '--json'], EVIL);
    assert.equal(code, 1);
    assert.equal((JSON.parse(out) as { path: string; verdict: string }).verdict, 'malicious');
  });
  it('leaves nothing out: directories that a pattern matches, linked directories, a file called as stdin is', () => {
    const tree = join(directory, 'tree');
    mkdirSync(join(tree, 'one', 'deep'), { recursive: true });
    mkdirSync(join(directory, 'elsewhere'));
    writeFileSync(join(tree, 'one', 'deep', 'bad.bin'), EVIL);
    writeFileSync(join(directory, 'elsewhere', 'bad.bin'), EVIL);
    symlinkSync(join(directory, 'elsewhere'), join(tree, 'one', 'linked'));
    symlinkSync('.', join(tree, 'one', 'back'));
    writeFileSync(join(tree, '-'), EVIL);
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'models', 'scan', '*', '.', '--json'], {
      cwd: tree,
      input: PLAIN,
      timeout: 20_000,
    });
    const found = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { path: string; verdict: string });
    rmSync(tree, { recursive: true });
    rmSync(join(directory, 'elsewhere'), { recursive: true });
    assert.deepEqual(found.map(({ path, verdict }) => `${path} ${verdict}`).sort(), [
      './- malicious',
      'one/deep/bad.bin malicious',
      'one/linked inconclusive',
    ]);
    assert.equal(status, 1);
  });
  it('writes SARIF with the rules that fired', () => {
    const log = JSON.parse(scan(['bad.bin', '--sarif']).out) as {
      version: string;
      runs: { results: { ruleId: string; level: string }[]; tool: { driver: { rules: { id: string }[] } } }[];
    };
    assert.equal(log.version, '2.1.0');
    const [run] = log.runs;
    assert.ok(run?.results.some(({ ruleId, level }) => ruleId === 'pickle-dangerous-call' && level === 'error'));
    assert.ok(run?.tool.driver.rules.some(({ id }) => id === 'pickle-dangerous-call'));
  });
  it('refuses wrong use with 2', () => {
    for (const args of [['nothing-here'], [], ['good.pkl', '--fail-on', 'sometimes'], ['good.pkl', '--json', '--sarif']]) {
      const { code, err } = scan(args);
      assert.equal(code, 2);
      assert.notEqual(err, '');
    }
  });
});
