// `npm start`: installs and builds what is missing, then runs gateway and control plane on embedded storage.
import { join } from 'node:path';
import { COMPILE_CACHE, ensureInstalled, ROOT, runNode, SERVE_OPTIONS } from './runtime.mjs';

try {
  ensureInstalled({ dev: false });
  const built = await runNode([join(ROOT, 'tools', 'build.mjs')]);
  process.exitCode =
    built === 0
      ? await runNode([...SERVE_OPTIONS, join(ROOT, 'dist', 'sallyport.mjs'), 'serve', ...process.argv.slice(2)], COMPILE_CACHE)
      : built;
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
