import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, run } from '@sallyport/testkit';
import { type Bench, type RunningPeer, startPeer } from './peers.ts';

/** Where `npm start` keeps compiled code, so that start-up is measured as users have it. */
const COMPILE_CACHE = fileURLToPath(new URL('../../.cache/compile', import.meta.url));

/**
 * Sallyport with everything on that is on by default: one key made by `init`, one model, one upstream, the ledger on disk. The load comes
 * from one address and may be thousands of streams, so connections and sockets have bounds beyond the default; no limits are
 * configured, since a limit would end the load.
 */
export async function startSallyport(bench: Bench, upstreamPort: number, directory: string): Promise<RunningPeer> {
  const [command, ...words] = bench.sallyport;
  if (command === undefined) throw new Error('no command line for Sallyport');
  const port = await freePort();
  const config = join(directory, 'sallyport.yaml');
  await writeFile(
    config,
    `listen: { gateway: 127.0.0.1:${port}, control: 127.0.0.1:${await freePort()} }
http: { maxConnectionsPerAddress: 10000 }
upstreams:
  - { name: bench, kind: openai, url: "http://127.0.0.1:${upstreamPort}", connections: 8192 }
models:
  - { name: bench, upstream: bench, target: bench }
storage: { url: "sqlite:${join(directory, 'state.db')}" }
audit: { directory: ${join(directory, 'ledger')} }
`,
  );
  const env = { ...process.env, SALLYPORT_HOME: directory, SALLYPORT_CONFIG: config, NODE_COMPILE_CACHE: COMPILE_CACHE };
  const init = await run(command, [...words, 'init', '--json'], { env });
  if (init.code !== 0)
    throw new Error(
      `sallyport init failed: ${
        init.stderr
          .trim()
          .split('\n')
          .find((line) => /error/i.test(line)) ?? init.stderr.slice(-200)
      }`,
    );
  const made: { readonly firstKey: { readonly key: string } } = JSON.parse(init.stdout);
  const headers = { authorization: `Bearer ${made.firstKey.key}` };
  return startPeer(bench, command, [...words, 'serve', '--config', config], { port, headers, launch: { env } });
}
