import { formatListen, openHome, resolveSecret } from '@sallyport/control';
import { Command } from 'commander';
import { openConfiguredStore, type ReadyConfig, readConfig } from '../installation.ts';
import { describeError, EXIT, result, table } from '../terminal.ts';
import { type GlobalOptions, globalOptions } from './options.ts';

interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly message: string;
}

/** Milliseconds a server has for its answer. */
const TIMEOUT = 2_000;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look for what is wrong with this installation. Exits with 1 where something is')
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExample:\n  $ sallyport doctor')
    .action(async (options: { json?: boolean }, command: Command) => {
      const checks = await examine(globalOptions(command));
      process.exitCode = checks.some((check) => check.state === 'problem') ? EXIT.refused : EXIT.done;
      result(options.json === true, checks, () =>
        table(
          ['STATE', 'CHECK', ''],
          checks.map((check) => [check.state, check.name, check.message]),
        ),
      );
    });
}

async function examine(options: GlobalOptions): Promise<Check[]> {
  const checks: Check[] = [check('node', Number(process.versions.node.split('.')[0]) >= 24, `Node ${process.versions.node}`)];
  checks.push(await attempt('home', async () => openHome(options.place.home).directory));
  let ready: ReadyConfig;
  try {
    ready = await readConfig(options.place, options.place.configFile === null);
  } catch (error) {
    return [...checks, { name: 'configuration', state: 'problem', message: describeError(error).text }];
  }
  const { config, warnings } = ready;
  checks.push({
    name: 'configuration',
    state: 'ok',
    message: options.place.configFile ?? 'no file: defaults and what runs on this machine',
  });
  for (const { path, message, fix } of warnings) checks.push({ name: path, state: 'warning', message: `${message}: ${fix}` });
  checks.push(
    await attempt('storage', async () => `${config.storage.url.split(':', 1)[0]} at version ${await storeVersion(ready, options)}`),
  );
  for (const upstream of config.upstreams) {
    if (upstream.credential !== null)
      checks.push(
        await attempt(
          `upstream ${upstream.name}: credential`,
          async () => `${resolveSecret(upstream.credential ?? '').value.length} characters`,
        ),
      );
    if (upstream.kind !== 'demo' && upstream.socketPath === null)
      checks.push(await attempt(`upstream ${upstream.name}`, () => reach(upstream.url)));
  }
  const scheme = config.tls === null ? 'http' : 'https';
  checks.push(await attempt('gateway', () => reach(`${scheme}://${formatListen(config.listen.gateway)}/health/ready`), 'warning'));
  return checks;
}

async function storeVersion({ config }: ReadyConfig, { logger }: GlobalOptions): Promise<number> {
  const store = await openConfiguredStore(config, logger);
  try {
    return await store.version();
  } finally {
    await store.close();
  }
}

/** Any answer shows that something is there; what it says is not looked at. */
async function reach(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT), redirect: 'manual' });
  await answer.body?.cancel();
  return `${url} answers ${answer.status}`;
}

function check(name: string, good: boolean, message: string): Check {
  return { name, state: good ? 'ok' : 'problem', message };
}

async function attempt(name: string, look: () => Promise<string>, bad: Check['state'] = 'problem'): Promise<Check> {
  try {
    return { name, state: 'ok', message: await look() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : null;
    return { name, state: bad, message: cause ?? describeError(error).text.split('\n', 1)[0] ?? 'failed' };
  }
}
