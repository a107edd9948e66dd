// Builds dist/: the `sallyport` command as one bundle, which starts faster and in half the memory of the sources. `node tools/build.mjs`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { bundle } from './bundle.mjs';
import { DIST, isBuilt, STAMP, sourceDigest } from './stamp.mjs';

if (!isBuilt()) {
  // Before the build: a source that changes meanwhile makes the stamp a wrong one, and the next start builds again.
  const wanted = sourceDigest();
  process.stderr.write('Building ...\n');
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  await bundle(DIST);
  writeFileSync(STAMP, wanted);
}
