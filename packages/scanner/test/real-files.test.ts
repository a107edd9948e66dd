import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { VERDICTS } from '../src/index.ts';
import { mutate, mutation } from './mutations.ts';
import { EVIL, scanBytes } from './writers.ts';

const WRITER = fileURLToPath(new URL('write-real-files.py', import.meta.url));
const RUNS = 40;
/** Programs that pack `protocol4.pkl`, by the file they make. */
const PACKERS: readonly (readonly [program: string, args: readonly string[]])[] = [
  ['/usr/bin/lz4', ['-q', 'protocol4.pkl', 'cli.lz4']],
  ['/usr/bin/zstd', ['-q', 'protocol4.pkl', '-o', 'cli.zst']],
  ['/usr/bin/zip', ['-q', 'cli.zip', 'protocol4.pkl', 'protocol0.pkl']],
  ['/bin/tar', ['czf', 'cli.tar.gz', 'protocol4.pkl', 'plain.npz']],
  ...['LZMA2', 'LZMA', 'Deflate', 'BZip2', 'Copy'].map(
    (method) => ['/usr/bin/7zz', ['a', '-bd', `-m0=${method}`, `${method}.7z`, 'protocol4.pkl', 'protocol0.pkl']] as const,
  ),
  ['/usr/bin/7zz', ['a', '-bd', '-mhc=off', 'plain-header.7z', 'protocol4.pkl']],
];
/** What no loader opens by itself: the data of an ONNX file. */
const ASIDE = 'external.data';

const folder = mkdtempSync(join(tmpdir(), 'real-files-'));
after(() => rmSync(folder, { recursive: true }));
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const written = spawnSync(python, [WRITER, folder], { timeout: 120_000 });
if (written.status === 0)
  for (const [program, args] of PACKERS) if (existsSync(program)) spawnSync(program, args, { cwd: folder, timeout: 60_000 });
const names = written.status === 0 ? readdirSync(folder).sort() : [];
const skip = names.length === 0 ? 'python3 with numpy, joblib, h5py and onnx is not installed' : false;

/** 512 MiB would be a leak of a hundredth of what is scanned here. */
const GROWTH = 64 * 2 ** 20;

describe('files that other programs wrote', { skip }, () => {
  let before = 0;
  for (const name of names) {
    it(`${name} is clean, and damaged it neither throws, nor hangs, nor loses its verdict`, async () => {
      const file = readFileSync(join(folder, name));
      const sound = await scanBytes(file, name);
      assert.equal(sound.verdict, 'clean', JSON.stringify(sound.findings));
      assert.ok(sound.format !== 'data' || name === ASIDE, 'not recognised');
      await fc.assert(
        fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 6 }), async (mutations) => {
          const report = await scanBytes(mutate(file, mutations), name, { time: 5_000 });
          assert.ok(VERDICTS.includes(report.verdict));
          assert.ok(!report.findings.some(({ rule }) => rule === 'limit-time'));
          if (report.verdict === 'clean') assert.ok(report.findings.every(({ severity }) => severity === 'info'));
        }),
        { numRuns: RUNS },
      );
      if (before === 0) before = process.memoryUsage().rss;
    });
  }
  it('a dangerous pickle behind any of them is not clean', async () => {
    for (const name of names)
      if (name !== ASIDE)
        assert.notEqual((await scanBytes(Buffer.concat([readFileSync(join(folder, name)), EVIL]), name)).verdict, 'clean', name);
  });
  it('all of it leaves neither memory nor files behind', () => {
    assert.ok(process.memoryUsage().rss - before < 4 * GROWTH, `${process.memoryUsage().rss - before} bytes more`);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith(`sallyport-scan-${process.pid}`)),
      [],
    );
  });
});
