// `npm run bench SUITE -- [options]`: builds what users run, then measures it under Node 24.
import { join } from 'node:path';
import { ensureInstalled, ROOT, runNode } from './runtime.mjs';

ensureInstalled({ dev: true });
const built = await runNode([join(ROOT, 'tools', 'build.mjs')]);
process.exitCode = built === 0 ? await runNode(['--expose-gc', join(ROOT, 'bench', 'main.ts'), ...process.argv.slice(2)]) : built;
