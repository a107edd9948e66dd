import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { DEFAULT_LIMITS, parseSuppressions, SuppressionsInvalid, scanPaths, suppress, toJunit } from '../src/index.ts';
import { bytes, EVIL, PLAIN, pk, scanBytes } from './writers.ts';

const UNKNOWN = bytes(pk.proto(4), pk.call('acme.models', 'Thing'), '.');
const sha256 = createHash('sha256').update(UNKNOWN).digest('hex');
const TODAY = new Date('2026-11-27T12:00:00Z');
const accept = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({
    suppressions: ['pickle-unknown-import', 'pickle-unknown-call'].map((rule) => ({
      sha256,
      rule,
      reason: 'our own class, reviewed',
      expires: '2027-01-31',
      ...fields,
    })),
  });

describe('suppressions', () => {
  it('take reviewed findings of one file out until they expire', async () => {
    const report = { ...(await scanBytes(UNKNOWN)), sha256 };
    assert.equal(report.verdict, 'suspicious');
    const verdict = (text: string, now: Date = TODAY): string =>
      suppress(report, parseSuppressions(text), DEFAULT_LIMITS.findings, now).verdict;
    assert.equal(verdict(accept()), 'clean');
    assert.equal(verdict(accept(), new Date('2027-01-31T23:59:59Z')), 'clean');
    assert.equal(verdict(accept(), new Date('2027-02-01T00:00:00Z')), 'suspicious');
    assert.equal(verdict(accept({ expires: '2030-01-01' })), 'suspicious', 'further than a year ahead');
    assert.equal(verdict(accept({ sha256: '0'.repeat(64) })), 'suspicious');
    assert.equal(verdict(accept({ rule: 'pickle-unknown-call' })), 'suspicious');
    const kept = suppress(report, parseSuppressions(accept()), DEFAULT_LIMITS.findings, TODAY);
    assert.deepEqual([kept.findings.length, kept.suppressed.length], [0, report.findings.length]);
    assert.equal(suppress(report, parseSuppressions(accept()), report.findings.length, TODAY).verdict, 'suspicious', 'findings were cut');
  });
  it('need every field', () => {
    for (const fields of [{ sha256: 'x' }, { rule: 'no-such-rule' }, { reason: 'ok' }, { expires: 'soon' }, { expires: '2027-13-45' }])
      assert.throws(() => parseSuppressions(accept(fields)), SuppressionsInvalid);
    for (const text of ['', '[]', '{"suppressions":1}']) assert.throws(() => parseSuppressions(text), SuppressionsInvalid);
  });
});

describe('JUnit', () => {
  it('has a case a file, a failure from the threshold on, and nothing of the file that XML would obey', async () => {
    const reports = [await scanBytes(PLAIN, 'a"<b>&\x01'), await scanBytes(EVIL, 'evil')];
    const xml = toJunit(reports, 'suspicious');
    assert.match(xml, /tests="2" failures="1"/);
    assert.match(xml, /name="a&quot;&lt;b&gt;&amp;\ufffd"/);
    assert.match(xml, /<failure type="malicious"/);
    assert.doesNotMatch(toJunit(reports, 'never'), /<failure/);
  });
});

describe('threads', () => {
  it('give every report, in order, whatever happens to a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'threads-'));
    try {
      const paths = Array.from({ length: 520 }, (_, index) => join(folder, String(index)));
      for (const [index, path] of paths.entries()) if (index !== 77) writeFileSync(path, index % 10 === 3 ? EVIL : PLAIN);
      let progress = 0;
      const verdicts: string[] = [];
      const onProgress = (step: number): void => {
        progress += step;
      };
      for await (const { path, verdict } of scanPaths(paths, { threads: 2, onProgress })) {
        assert.equal(path, paths[verdicts.length]);
        verdicts.push(verdict);
      }
      assert.deepEqual(
        verdicts,
        paths.map((_, index) => (index === 77 ? 'inconclusive' : index % 10 === 3 ? 'malicious' : 'clean')),
      );
      assert.equal(progress, 52 * EVIL.length + 467 * PLAIN.length);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  it('that make no progress are ended, leave their file inconclusive, and are replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'threads-'));
    try {
      const paths = ['a', 'b', 'c', 'd'].map((name) => join(folder, name));
      for (const path of paths) writeFileSync(path, PLAIN);
      // Many seconds of instructions, and bytes enough that threads are worth it.
      writeFileSync(paths[1] ?? '', bytes(pk.proto(4), ']', Buffer.alloc(260 * 2 ** 20, ']a'), '.'));
      const reports = await Array.fromAsync(scanPaths(paths, { threads: 2, watchdog: 2000 }));
      assert.deepEqual(
        reports.map(({ verdict }) => verdict),
        ['clean', 'inconclusive', 'clean', 'clean'],
      );
      assert.match(reports[1]?.findings[0]?.message ?? '', /no progress for 2 s/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  it('that do not even end when they are told to hold nobody up', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'threads-'));
    const stuck: Worker[] = [];
    const { terminate } = Worker.prototype;
    let heard = 0;
    // As a thread does that a file system keeps inside a read.
    Worker.prototype.terminate = function (this: Worker): Promise<number> {
      stuck.push(this);
      for (const event of ['exit', 'message'])
        this.on(event, () => {
          heard += 1;
        });
      return Promise.resolve(0);
    };
    try {
      const paths = ['a', 'b', 'c'].map((name) => join(folder, name));
      writeFileSync(paths[0] ?? '', bytes(pk.proto(4), ']', Buffer.alloc(260 * 2 ** 20, ']a'), '.'));
      symlinkSync(paths[0] ?? '', paths[1] ?? '');
      writeFileSync(paths[2] ?? '', PLAIN);
      const reports = await Array.fromAsync(scanPaths(paths, { threads: 2, watchdog: 2000 }));
      assert.deepEqual([reports.map(({ verdict }) => verdict), heard], [['inconclusive', 'inconclusive', 'clean'], 0]);
    } finally {
      Worker.prototype.terminate = terminate;
      await Promise.all(stuck.map((worker) => worker.terminate()));
      rmSync(folder, { recursive: true });
    }
  });
  it('a pipe that nobody writes to is no file, and keeps nobody waiting', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'threads-'));
    try {
      execFileSync('mkfifo', [join(folder, 'pipe')]);
      const [report] = await Array.fromAsync(scanPaths([join(folder, 'pipe')]));
      assert.equal(report?.findings[0]?.rule, 'source-unreadable');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  it('that die leave their file inconclusive, and are replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'threads-'));
    try {
      const paths = ['a', 'b', 'c'].map((name) => join(folder, name));
      for (const path of paths) writeFileSync(path, PLAIN);
      // Enough bytes that threads are worth it, and a limit that no thread survives.
      truncateSync(paths[0] ?? '', 300 * 2 ** 20);
      const limits = { time: 1n as unknown as number };
      const reports = await Array.fromAsync(scanPaths(paths, { threads: 2, limits }));
      assert.deepEqual(
        reports.map(({ path, verdict, findings }) => [path, verdict, findings[0]?.rule]),
        paths.map((path) => [path, 'inconclusive', 'scan-lost']),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
