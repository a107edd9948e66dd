#!/usr/bin/env node
// The `sallyport` command: the bundle where it is one of these sources, else the sources, under Node 24 whatever runs this file.
import { join } from 'node:path';
import { COMPILE_CACHE, ROOT, runNode, SERVE_OPTIONS } from '../../../tools/runtime.mjs';
import { BUNDLE, isBuilt } from '../../../tools/stamp.mjs';

// What was built from other sources is not run.
const main = isBuilt() ? BUNDLE : join(ROOT, 'packages', 'cli', 'src', 'main.ts');
try {
  process.exitCode = await runNode([...SERVE_OPTIONS, main, ...process.argv.slice(2)], COMPILE_CACHE);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
