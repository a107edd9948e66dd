// What the start and test commands share. Plain JavaScript for Node 20: it runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Environment that lets Node keep compiled code between starts. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(ROOT, '.cache', 'compile') };
const STAMP = join(ROOT, 'node_modules', '.sallyport-install');
const MINIMUM = 24;

/** A Node 24 or newer: this one, or the one npm brought. */
export function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= MINIMUM) return process.execPath;
  const bundled = join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
  if (existsSync(bundled)) return bundled;
  throw new Error(
    `Node ${MINIMUM} is needed and npm has no build of it for ${process.platform}-${process.arch}; install Node ${MINIMUM} and run this again.`,
  );
}

/** Installs what the lock file names unless that was done already. `dev` takes what tests and builds need as well. */
export function ensureInstalled({ dev }) {
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  const done = existsSync(STAMP) ? readFileSync(STAMP, 'utf8').trim().split(' ') : [];
  if (done[0] === lock && (!dev || done[1] === 'dev')) return;
  process.stderr.write('Installing dependencies (npm ci) ...\n');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...(dev ? [] : ['--omit=dev'])];
  // `npm start` and `npm test` hand their own configuration down; a nested npm must read the project's afresh.
  const { status } = spawnSync('npm', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`npm ci failed with exit status ${status}`);
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, `${lock} ${dev ? 'dev' : 'run'}\n`);
}

/**
 * Options of the serving process: a larger nursery for young objects, because a request's all die together; collecting them in a small
 * one costs a tenth of the time under load. MiB.
 */
export const SERVE_OPTIONS = ['--max-semi-space-size=32'];

/** Runs a program under Node 24, passes signals on, and resolves with its exit status. */
export function runNode(args, env = {}) {
  const child = spawn(findNode(), args, { cwd: process.cwd(), stdio: 'inherit', env: { ...process.env, ...env } });
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', ...(process.platform === 'win32' ? [] : ['SIGUSR2'])]) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}
