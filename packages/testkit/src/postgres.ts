import { chown, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Launched, type LaunchOptions, run } from './process.ts';
import { temporaryDirectory } from './tempdir.ts';

/** A PostgreSQL server of its own, on loopback, gone with its data when its scope ends. */
export interface Postgres extends AsyncDisposable {
  /** `postgres://…` of an empty database, for a superuser that needs no password. */
  readonly url: string;
  readonly pid: number;
  /** Stops the server as an outage does (immediate shutdown); `start` brings it back on the same port with its data. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

const DEBIAN_BINARIES = '/usr/lib/postgresql';
const NOBODY = 65_534; // PostgreSQL refuses to run as root
const START_TIMEOUT_MS = 30_000;
// A test wants speed; only tests of durability want more, and they kill processes, not machines.
const SETTINGS = ['fsync=off', 'full_page_writes=off', 'shared_buffers=16MB', 'max_connections=40', 'logging_collector=off'];

/** Why no PostgreSQL can be started here, or null. */
export async function postgresMissing(): Promise<string | null> {
  return (await binaries()) === null ? `no PostgreSQL binaries under ${DEBIAN_BINARIES} (Debian package postgresql)` : null;
}

export async function startPostgres(): Promise<Postgres> {
  const bin = await binaries();
  if (bin === null) throw new Error(`no PostgreSQL binaries under ${DEBIAN_BINARIES}`);
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-pg-'));
  const identity: LaunchOptions = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (identity.uid !== undefined) await chown(directory.path, NOBODY, NOBODY);
  const options: LaunchOptions = { ...identity, cwd: directory.path, env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' } };
  const data = directory.file('data');
  const init = await run(join(bin, 'initdb'), ['-D', data, '-U', 'sallyport', '-A', 'trust', '-E', 'UTF8', '--no-sync'], options);
  if (init.code !== 0) throw new Error(`initdb failed: ${init.stderr}`);
  const port = await freePort();
  const args = ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', directory.path, ...SETTINGS.flatMap((setting) => ['-c', setting])];
  const launch = async (): Promise<Launched> => {
    const child = await Launched.launch(join(bin, 'postgres'), args, options);
    await child.waitFor(/database system is ready to accept connections/, START_TIMEOUT_MS);
    return child;
  };
  let server = await launch();
  stack.defer(async () => void (await server.stop('SIGQUIT')));
  const owned = stack.move();
  return {
    url: `postgres://sallyport@127.0.0.1:${port}/postgres`,
    get pid() {
      return server.pid;
    },
    stop: async () => void (await server.stop('SIGQUIT')),
    start: async () => {
      server = await launch();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The newest installed version's directory of programs. */
async function binaries(): Promise<string | null> {
  const versions = await readdir(DEBIAN_BINARIES).catch(() => []); // absent: not installed
  const newest = versions.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? null : join(DEBIAN_BINARIES, newest, 'bin');
}

/** A port nobody listens on now. Another process may take it before it is used; PostgreSQL then fails loudly. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
