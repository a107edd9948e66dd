import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  answerJson,
  type Behaviour,
  chatReply,
  freePort,
  run as runCommand,
  ScriptedUpstream,
  temporaryDirectory,
} from '@sallyport/testkit';
import { type RunningPeer, startPeer } from '../gateway/peers.ts';
import { placement } from '../measure.ts';

const MAIN = fileURLToPath(new URL('../../dist/sallyport.mjs', import.meta.url));
/** Slots of the shared server, and milliseconds it takes for an answer. */
export const SLOTS = 8;
export const WORK = 20;
/** Milliseconds the breaker of the server that is ill stays open. */
export const OPEN = 1_000;

export interface Stage extends AsyncDisposable {
  readonly gateway: RunningPeer;
  readonly ill: ScriptedUpstream;
  readonly keys: { readonly first: string; readonly other: string };
}

/** A gateway with `workers` (0: one process on a core of its own) before three servers; `more` is added to its configuration. */
export async function setUp(workers: number = 0, more: string = ''): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-bench-')).path;
  const start = async (behaviour: Behaviour): Promise<ScriptedUpstream> => stack.use(await ScriptedUpstream.start({ behaviour }));
  const well = await start(answerJson(chatReply('Hi', 'well')));
  const ill = await start(answerJson(chatReply('Hi', 'ill')));
  const shared = await start(async (exchange) => {
    await new Promise((resolve) => setTimeout(resolve, WORK));
    await answerJson(chatReply('Hi', 'shared'))(exchange);
  });
  const port = await freePort();
  const config = join(directory, 'sallyport.yaml');
  const upstream = (name: string, { url }: ScriptedUpstream, more: string): string =>
    `  - { name: ${name}, kind: openai, url: "${url}"${more} }\n`;
  await writeFile(
    config,
    `listen: { gateway: 127.0.0.1:${port}, control: 127.0.0.1:${await freePort()} }
upstreams:
${upstream('well', well, '')}${upstream('ill', ill, `, timeouts: { firstByte: 1s, idle: 1s, total: 3s }, breaker: { open: ${OPEN}ms, maxOpen: ${OPEN}ms }`)}${upstream('shared', shared, `, maxConcurrency: ${SLOTS}, queue: { perSlot: 100 }`)}models:
${['well', 'ill', 'shared'].map((name) => `  - { name: ${name}, upstream: ${name} }\n`).join('')}storage: { url: "sqlite:${join(directory, 'state.db')}" }
audit: { directory: ${join(directory, 'ledger')} }
${more}`,
  );
  const env = { ...process.env, SALLYPORT_HOME: directory, SALLYPORT_CONFIG: config };
  const command = async (args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCommand(process.execPath, [MAIN, ...args], { env });
    if (code !== 0) throw new Error(`sallyport ${args[0]} failed: ${stderr.slice(-300)}`);
    return JSON.parse(stdout);
  };
  const { firstKey } = (await command(['init', '--json'])) as { firstKey: { key: string } };
  const other = (await command(['keys', 'create', '--name', 'other', '--role', 'inference-only', '--tenant', 'other', '--json'])) as {
    secret: string;
  };
  const bench = { placement: workers === 0 ? placement() : null, directory, sallyport: [] };
  const gateway = stack.use(
    await startPeer(
      bench,
      process.execPath,
      [MAIN, 'serve', ...(workers === 0 ? [] : ['--workers', String(workers)]), '--config', config],
      { port, launch: { env } },
    ),
  );
  const owned = stack.move();
  return { gateway, ill, keys: { first: firstKey.key, other: other.secret }, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
