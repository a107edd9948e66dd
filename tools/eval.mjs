// `npm run eval NAME -- [ARG ...]`: runs the evaluation of a package, `guard` or `scanner`, under Node 24.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, ROOT, runNode } from './runtime.mjs';

const [name = '', ...rest] = process.argv.slice(2);
const main = join(ROOT, 'packages', name, 'eval', 'main.ts');
if (!/^[a-z]+$/.test(name) || !existsSync(main)) {
  process.stderr.write('usage: npm run eval guard|scanner -- [options]\n');
  process.exitCode = 2;
} else {
  ensureInstalled({ dev: true });
  process.exitCode = await runNode([main, ...rest]);
}
