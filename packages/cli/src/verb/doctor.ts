import http from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { type Config, formatListen, openHome, resolveSecret } from '@sallyport/control';
import { Command } from 'commander';
import { describeError } from '../failure.ts';
import { hasHome, openConfiguredStore, type ReadyConfig, readConfig } from '../installation.ts';
import { EXIT, result, table } from '../terminal.ts';
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
  // Opening a home makes one, and opening a database makes that: doctor looks only.
  const home = hasHome(options.place);
  checks.push(
    home
      ? await attempt('home', async () => openHome(options.place.home).directory)
      : { name: 'home', state: 'problem', message: `nothing is set up in ${options.place.home}: run sallyport init or sallyport serve` },
  );
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
  if (home)
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
      checks.push(
        await attempt(`upstream ${upstream.name}`, () =>
          reach(upstream.url, upstream.tls?.ca == null ? {} : { ca: resolveSecret(upstream.tls.ca).value }),
        ),
      );
  }
  const scheme = config.tls === null ? 'http' : 'https';
  checks.push(
    await attempt('gateway', () => reach(`${scheme}://${formatListen(config.listen.gateway)}/health/ready`, ownTls(config)), 'warning'),
  );
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

/** The gateway's own certificate is trusted as it stands, for whatever names: only whether it answers is asked. */
export function ownTls({ tls }: Config): ReachOptions {
  if (tls === null) return {};
  return { ca: resolveSecret(tls.cert).value, allowPartialTrustChain: true, checkServerIdentity: () => undefined };
}

type ReachOptions = Pick<RequestOptions, 'ca' | 'allowPartialTrustChain' | 'checkServerIdentity'>;

/** Any answer shows that something is there; what it says is not looked at. */
function reach(url: string, tls: ReachOptions): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { request } = url.startsWith('https:') ? https : http;
  const asked = request(url, { ...tls, agent: false, signal: AbortSignal.timeout(TIMEOUT) }, (answer) => {
    answer.destroy();
    resolve(`${url} answers ${answer.statusCode ?? 0}`);
  });
  asked.on('error', reject).end();
  return promise;
}

function check(name: string, good: boolean, message: string): Check {
  return { name, state: good ? 'ok' : 'problem', message };
}

async function attempt(name: string, look: () => Promise<string>, bad: Check['state'] = 'problem'): Promise<Check> {
  try {
    return { name, state: 'ok', message: await look() };
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
    return { name, state: bad, message: code ?? describeError(error).text.split('\n', 1)[0] ?? 'failed' };
  }
}
