import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/**
 * Runs every test file of the workspace and prints `N passed, N failed, N skipped` last.
 * `run-tests.ts [--unsound] [PATTERN]`: `--unsound` counts the static checks, which failed before, as one failure; PATTERN picks files.
 */
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const pattern = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
const files = globSync(['packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts'], { cwd: root })
  .sort()
  .filter((file) => pattern === undefined || file.includes(pattern))
  .map((file) => join(root, file));

const counts = { passed: 0, failed: process.argv.includes('--unsound') ? 1 : 0, skipped: 0 };
const failures: string[] = [];

const tests = run({ files, concurrency: Math.max(2, availableParallelism()), timeout: 300_000 });
tests.on('test:pass', (data) => {
  if (data.details.type === 'suite') return;
  if (data.skip !== undefined && data.skip !== false) counts.skipped += 1;
  else counts.passed += 1;
});
tests.on('test:fail', (data) => {
  if (data.details.type === 'suite') return;
  counts.failed += 1;
  failures.push(`${data.file === undefined ? '' : `${relative(root, data.file)}: `}${data.name}`);
});
tests.compose(new spec()).pipe(process.stdout);
tests.on('end', () => {
  // After the reporter has printed its own last lines.
  setImmediate(() => {
    if (files.length === 0) failures.push('no test file was found');
    for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
    process.exitCode = counts.failed > 0 || files.length === 0 ? 1 : 0;
    process.on('exit', () => process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`));
  });
});
