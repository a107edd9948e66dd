// Builds dist/: the `sallyport` command as one bundle, which starts faster and in half the memory of the sources. `node tools/build.mjs`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './runtime.mjs';
import { DIST, isBuilt, STAMP, sourceDigest } from './stamp.mjs';

if (!isBuilt()) {
  // Before the build: a source that changes meanwhile makes the stamp a wrong one, and the next start builds again.
  const wanted = sourceDigest();
  process.stderr.write('Building ...\n');
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  await build({
    entryPoints: {
      sallyport: join(ROOT, 'packages', 'cli', 'src', 'main.ts'),
      'exporters-worker': join(ROOT, 'packages', 'cli', 'src', 'process', 'exporters-worker.ts'),
      'scan-worker': join(ROOT, 'packages', 'ledger', 'src', 'verify', 'scan-worker.ts'),
      // Threads of the model scanner start from a file of their own.
      'models-worker': join(ROOT, 'packages', 'scanner', 'src', 'worker.ts'),
    },
    outdir: DIST,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'esnext',
    format: 'esm',
    sourcemap: true,
    sourcesContent: false,
    external: ['pg-native'],
    // Its other entry reads WebAssembly from beside its source, where the bundle is not.
    alias: { '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled' },
    // Some dependencies are CommonJS and look for `require` at run time.
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  writeFileSync(STAMP, wanted);
}
