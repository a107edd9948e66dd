import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Refuses an import that points up, an undeclared one, and a cycle (docs/architecture.md, 'Packages'). Reads sources as text; a package's
 * own files may import one another freely, another package only by its name. The testkit is for tests: what it uses is declared at the root.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core'],
  guard: ['core'],
  access: ['core'],
  ledger: ['core', 'egress'],
  scanner: ['core'],
  store: ['core'],
  egress: ['core'],
  otlp: ['core'],
  export: ['core', 'egress', 'ledger', 'otlp'],
  gateway: ['core', 'wire', 'guard', 'access', 'ledger', 'egress'],
  control: ['core', 'guard', 'access', 'ledger', 'scanner', 'store', 'egress', 'otlp'],
  cli: ['core', 'wire', 'guard', 'access', 'ledger', 'scanner', 'store', 'egress', 'export', 'gateway', 'control'],
  testkit: ['core', 'wire'],
};

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const IMPORT = /^\s*(?:import|export)\b[^'"]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const problems: string[] = [];

function manifest(path: string): Manifest {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest;
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

function check(name: string, allowed: readonly string[], development: ReadonlySet<string>): void {
  const declared = new Set(Object.keys(manifest(`packages/${name}/package.json`).dependencies ?? {}));
  for (const file of globSync(`packages/${name}/{src,test,bench,eval}/**/*.ts`, { cwd: root })) {
    const isSource = file.startsWith(join('packages', name, 'src'));
    for (const match of readFileSync(join(root, file), 'utf8').matchAll(IMPORT)) {
      const specifier = match[1] ?? match[2] ?? match[3] ?? '';
      if (specifier.startsWith('node:') || specifier === '') continue;
      if (specifier.startsWith('.')) {
        if (!join(dirname(file), specifier).startsWith(join('packages', name)))
          problems.push(`${file}: reaches into another package by path (${specifier})`);
        continue;
      }
      const target = packageOf(specifier);
      const own = target.startsWith('@sallyport/') ? target.slice('@sallyport/'.length) : null;
      if (own !== null && isSource && !allowed.includes(own)) problems.push(`${file}: ${name} may not import ${own}`);
      if (isSource && name !== 'testkit' && !declared.has(target))
        problems.push(`${file}: ${target} is not declared in packages/${name}/package.json`);
      if ((!isSource || name === 'testkit') && own === null && !declared.has(target) && !development.has(target))
        problems.push(`${file}: ${target} is declared nowhere`);
    }
  }
}

const development = new Set(Object.keys(manifest('package.json').devDependencies ?? {}));
for (const [name, allowed] of Object.entries(LAYERS)) check(name, allowed, development);
for (const folder of globSync('packages/*', { cwd: root })) {
  const name = folder.split(/[\\/]/).at(-1) ?? '';
  if (!(name in LAYERS)) problems.push(`${folder}: the package has no layer`);
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
