// Tells whether dist/ was built from the sources that are here. Plain JavaScript for Node 20: `npx sallyport` asks before it runs.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from './runtime.mjs';

export const DIST = join(ROOT, 'dist');
export const BUNDLE = join(DIST, 'sallyport.mjs');
export const STAMP = join(DIST, 'stamp');

/** Digest over everything a bundle is made of: a change of any source, version or build setting makes another. */
export function sourceDigest() {
  const hash = createHash('sha256').update(readFileSync(join(ROOT, 'package-lock.json')));
  hash.update(readFileSync(join(ROOT, 'tools', 'bundle.mjs')));
  for (const name of readdirSync(join(ROOT, 'packages')).sort()) {
    const sources = join(ROOT, 'packages', name, 'src');
    if (!existsSync(sources)) continue;
    const files = readdirSync(sources, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = files.map((file) => join(file.parentPath ?? file.path, file.name)).sort();
    for (const path of paths) hash.update(`${relative(ROOT, path)}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** Whether dist/ holds a whole bundle of exactly these sources. */
export function isBuilt() {
  return existsSync(BUNDLE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === sourceDigest();
}
