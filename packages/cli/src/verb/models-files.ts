import { globSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { UsageError } from '../terminal.ts';

/** Every file that is meant, each once. A path that exists is itself, whatever characters it has; else it is a pattern. */
export function expand(paths: readonly string[]): string[] {
  const files = new Set<string>();
  for (const path of paths) {
    const status = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
    if (path === '-' || status?.isFile() === true) files.add(path);
    else if (status?.isDirectory() === true) for (const file of walk(path)) files.add(file);
    else if (status !== undefined) throw new UsageError(`${path}: neither a file nor a directory`);
    else {
      const found = /[*?[{]/.test(path) ? globSync(path) : [];
      if (found.length === 0) throw new UsageError(`${path}: no such file or directory, and no file matches it`);
      for (const match of found.sort())
        if (statSync(match, { throwIfNoEntry: false })?.isDirectory() === true) for (const file of walk(match)) files.add(file);
        else files.add(named(match));
    }
  }
  return [...files];
}

/** A file that is called as stdin is called on the command line. */
function named(path: string): string {
  return path === '-' ? './-' : path;
}

/**
 * Files below a directory, sorted. Links to files are followed, as loaders do (the Hub's cache is made of them). A directory that is linked is
 * there under its own name as well; one outside is given itself, and the scan says that it cannot be read.
 */
function* walk(directory: string, root: string = realpathSync(directory)): Generator<string> {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path, root);
    else if (entry.isFile() || (entry.isSymbolicLink() && !isDirectoryBelow(path, root))) yield named(path);
  }
}

/** False for a link to nothing: that is a file that cannot be read. */
function isDirectoryBelow(link: string, root: string): boolean {
  if (statSync(link, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const real = realpathSync(link);
  return real === root || real.startsWith(join(root, sep));
}
