import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { freePort, installPeer, Launched, type LaunchOptions } from '@sallyport/testkit';
import { type Placement, placed } from '../measure.ts';
import { startSallyport } from './sallyport.ts';
import { MODSECURITY_FILES, writeHaproxy, writeModSecurityProxy, writeNginxProxy } from './servers.ts';

/** What a peer needs to know to start. */
export interface Bench {
  readonly placement: Placement;
  /** For configuration and data; each start gets a directory of its own below it. */
  readonly directory: string;
  /** Command line of Sallyport up to the verb: `node dist/sallyport.mjs`, with the options of `npm start`, unless told otherwise. */
  readonly sallyport: readonly string[];
}

/** A proxy that is up and answers. */
export interface RunningPeer extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** Headers its clients must send besides the usual ones. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds from launch to the first 200. */
  readonly startedInMs: number;
}

export interface BenchPeer {
  readonly name: string;
  /** Why it cannot run here, or null. */
  readonly missing: (bench: Bench) => Promise<string | null>;
  /** Starts it in front of `127.0.0.1:upstreamPort`. Rejects where it does not come up. */
  readonly start: (bench: Bench, upstreamPort: number) => Promise<RunningPeer>;
}

const NGINX = '/usr/sbin/nginx';
const HAPROXY = '/usr/sbin/haproxy';
const START_TIMEOUT_MS = 30_000;
let starts = 0;

export const PEERS: readonly BenchPeer[] = [
  {
    name: 'nginx',
    missing: async () => absent([NGINX], 'nginx-light'),
    start: (bench, upstream) => startConfigured(bench, NGINX, (directory, port) => writeNginxProxy(directory, port, upstream)),
  },
  {
    name: 'haproxy',
    missing: async () => absent([HAPROXY], 'haproxy'),
    start: (bench, upstream) => startConfigured(bench, HAPROXY, (directory, port) => writeHaproxy(directory, port, upstream)),
  },
  {
    name: 'bare-node',
    missing: async () => (await installPeer('bare')).missing,
    start: async (bench, upstream) => {
      const port = await freePort();
      const { directory } = await installPeer('bare');
      const args = [`${directory}/proxy.mjs`, '--port', String(port), '--upstream', `http://127.0.0.1:${upstream}`];
      return startPeer(bench, process.execPath, args, { port });
    },
  },
  {
    name: 'sallyport',
    missing: async (bench) => {
      const program = bench.sallyport.find((word) => /\.[cm]?[jt]s$/.test(word));
      return program === undefined || existsSync(program) ? null : `${program} is not there`;
    },
    start: async (bench, upstream) => startSallyport(bench, upstream, await ownDirectory(bench)),
  },
  {
    name: 'portkey',
    missing: async () => (await installPeer('portkey')).missing,
    start: async (bench, upstream) => {
      const port = await freePort();
      const { directory } = await installPeer('portkey');
      const program = `${directory}/node_modules/@portkey-ai/gateway/build/start-server.js`;
      return startPeer(bench, process.execPath, [program, '--headless', `--port=${port}`], {
        port,
        readyPath: '/',
        headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `http://127.0.0.1:${upstream}/v1` },
        launch: { cwd: directory, env: { ...process.env, NODE_ENV: 'production' } },
      });
    },
  },
  {
    name: 'modsecurity',
    missing: async () => absent([NGINX, ...MODSECURITY_FILES], 'libnginx-mod-http-modsecurity modsecurity-crs'),
    start: (bench, upstream) => startConfigured(bench, NGINX, (directory, port) => writeModSecurityProxy(directory, port, upstream)),
  },
];

export interface StartOptions {
  readonly port: number;
  /** Path that answers 200 when the peer is ready. */
  readonly readyPath?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly launch?: LaunchOptions;
}

/** Launches a proxy on the proxy's core and waits for its first 200. */
export async function startPeer(bench: Bench, command: string, args: readonly string[], options: StartOptions): Promise<RunningPeer> {
  const { port, readyPath = '/health/ready', headers = {}, launch = {} } = options;
  const begun = performance.now();
  const [program, programArgs] = placed(bench.placement, 'proxy', command, args);
  const child = await Launched.launch(program, programArgs, launch);
  try {
    while (!(await answers(`http://127.0.0.1:${port}${readyPath}`))) {
      if (child.exit !== null) throw new Error(`${command} ended: ${child.stderr.slice(-500)}`);
      if (performance.now() - begun > START_TIMEOUT_MS)
        throw new Error(`${command} does not answer ${readyPath}: ${child.stderr.slice(-500)}`);
    }
  } catch (error) {
    await child.stop();
    throw error;
  }
  const startedInMs = performance.now() - begun;
  return { pid: child.pid, port, headers, startedInMs, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { headers: { connection: 'close' } }).catch(() => null); // not listening yet
  await response?.arrayBuffer();
  if (response?.ok === true) return true;
  await new Promise((resolve) => setTimeout(resolve, 5));
  return false;
}

async function startConfigured(
  bench: Bench,
  command: string,
  configure: (directory: string, port: number) => Promise<string[]>,
): Promise<RunningPeer> {
  const port = await freePort();
  return startPeer(bench, command, await configure(await ownDirectory(bench), port), { port });
}

async function ownDirectory(bench: Bench): Promise<string> {
  const directory = `${bench.directory}/${starts++}`;
  await mkdir(directory);
  return directory;
}

function absent(files: readonly string[], packages: string): string | null {
  const lacking = files.find((file) => !existsSync(file));
  return lacking === undefined ? null : `${lacking} is not there (Debian: apt-get install ${packages})`;
}
