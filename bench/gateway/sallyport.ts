import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, run } from '@sallyport/testkit';
import { type Bench, type RunningPeer, startPeer } from './peers.ts';

const KEY = /sp_live_[A-Za-z0-9_-]+/;

/**
 * Sallyport with everything on that is on by default: one key made by `init`, one model, one upstream, the ledger on disk. No limits are
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
upstreams:
  - { name: bench, kind: openai, url: "http://127.0.0.1:${upstreamPort}" }
models:
  - { name: bench, upstream: bench, target: bench }
storage: { url: "sqlite:${join(directory, 'state.db')}" }
audit: { directory: ${join(directory, 'ledger')} }
`,
  );
  const env = { ...process.env, SALLYPORT_HOME: directory, SALLYPORT_CONFIG: config };
  const init = await run(command, [...words, 'init', '--json'], { env });
  const key = init.stdout.match(KEY)?.[0];
  if (init.code !== 0 || key === undefined)
    throw new Error(
      `sallyport init gave no key: ${
        init.stderr
          .trim()
          .split('\n')
          .find((line) => /error/i.test(line)) ?? init.stderr.slice(-200)
      }`,
    );
  const headers = { authorization: `Bearer ${key}` };
  return startPeer(bench, command, [...words, 'serve', '--config', config], { port, headers, launch: { env } });
}
