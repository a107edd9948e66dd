#!/usr/bin/env node
// The pre-commit hook (.pre-commit-hooks.yaml): scans the files it is given. Runs in a clone of this repository, which it installs once.
import { join } from 'node:path';
import { COMPILE_CACHE, ensureInstalled, ROOT, runNode } from './runtime.mjs';

try {
  ensureInstalled({ dev: false });
  const main = join(ROOT, 'packages', 'cli', 'src', 'main.ts');
  process.exitCode = await runNode([main, 'models', 'scan', '--no-record', ...process.argv.slice(2)], COMPILE_CACHE);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
