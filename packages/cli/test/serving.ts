import { writeFileSync } from 'node:fs';
import { freePort, type Launched, type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import { Sallyport } from './command.ts';

/** An installation with its server running as a user runs it. */
export interface Serving extends AsyncDisposable {
  readonly sallyport: Sallyport;
  readonly home: TemporaryDirectory;
  readonly gatewayUrl: string;
  readonly controlUrl: string;
  readonly ownerKey: string;
  readonly key: string;
  readonly configFile: string;
  /** The process; another one after `restart`. */
  process(): Launched;
  /** Starts the server again, on the same ports and data. */
  restart(): Promise<void>;
  /** Rewrites the configuration file: what follows `listen`. */
  configure(yaml: string): void;
}

/** `yaml` is the configuration without its `listen` section. */
export async function startServing(yaml: string, verb: readonly string[] = ['serve']): Promise<Serving> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await temporaryDirectory());
  const sallyport = new Sallyport(home.path);
  const [gateway, control] = [await freePort(), await freePort()];
  const configFile = sallyport.path('sallyport.yaml');
  const configure = (text: string): void =>
    writeFileSync(configFile, `listen: { gateway: "127.0.0.1:${gateway}", control: "127.0.0.1:${control}" }\n${text}`);
  configure(yaml);
  const init = await sallyport.run(['init', '--json']);
  if (init.code !== 0) throw new Error(`init failed: ${init.stderr}`);
  const made = JSON.parse(init.stdout) as { ownerKey: { key: string }; firstKey: { key: string } };
  let running: Launched;
  const launch = async (): Promise<void> => {
    running = await sallyport.start(verb);
    await running.waitFor(/Gateway {3}http/, 60_000);
  };
  await launch();
  stack.defer(async () => void (await running.stop()));
  const owned = stack.move();
  return {
    sallyport,
    home,
    gatewayUrl: `http://127.0.0.1:${gateway}`,
    controlUrl: `http://127.0.0.1:${control}`,
    ownerKey: made.ownerKey.key,
    key: made.firstKey.key,
    configFile,
    process: () => running,
    restart: launch,
    configure,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Asks again until `good` says so, for at most `timeout` milliseconds; returns how long it took, or null where it never was. */
export async function until(good: () => Promise<boolean>, timeout: number): Promise<number | null> {
  const start = performance.now();
  while (performance.now() - start < timeout) {
    if (await good()) return performance.now() - start;
    await new Promise((done) => setTimeout(done, 50));
  }
  return null;
}
