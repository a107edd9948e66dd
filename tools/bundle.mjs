// What a bundle of the `sallyport` command is made of.
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './runtime.mjs';

/** Writes the bundle into a directory. All it needs beside Node is in it. */
export function bundle(outdir) {
  return build({
    entryPoints: {
      sallyport: join(ROOT, 'packages', 'cli', 'src', 'main.ts'),
      'exporters-worker': join(ROOT, 'packages', 'cli', 'src', 'process', 'exporters-worker.ts'),
      'scan-worker': join(ROOT, 'packages', 'ledger', 'src', 'verify', 'scan-worker.ts'),
      // Threads of the model scanner start from a file of their own.
      'models-worker': join(ROOT, 'packages', 'scanner', 'src', 'worker.ts'),
      // What few configurations need, loaded by those that do.
      'json-library': join(ROOT, 'packages', 'guard', 'src', 'contract', 'json-library.ts'),
      'language-library': join(ROOT, 'packages', 'guard', 'src', 'contract', 'language-library.ts'),
      'content-weights': join(ROOT, 'packages', 'guard', 'src', 'content', 'content-weights.ts'),
    },
    outdir,
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
}
