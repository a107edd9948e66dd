// `npm start`: installs what is missing and runs gateway and control plane on embedded storage.
import { join } from 'node:path';
import { ensureInstalled, ROOT, runNode } from './runtime.mjs';

try {
  ensureInstalled({ dev: false });
  const env = { NODE_COMPILE_CACHE: join(ROOT, '.cache', 'compile') };
  process.exitCode = await runNode([join(ROOT, 'packages', 'cli', 'src', 'main.ts'), 'serve', ...process.argv.slice(2)], env);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
