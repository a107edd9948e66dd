#!/usr/bin/env node
// The `sallyport` command: the bundle where it was built, else the sources, under Node 24 whatever runs this file.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { COMPILE_CACHE, ROOT, runNode, SERVE_OPTIONS } from '../../../tools/runtime.mjs';

const bundle = join(ROOT, 'dist', 'sallyport.mjs');
const main = existsSync(bundle) ? bundle : join(ROOT, 'packages', 'cli', 'src', 'main.ts');
try {
  process.exitCode = await runNode([...SERVE_OPTIONS, main, ...process.argv.slice(2)], COMPILE_CACHE);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
