import { access } from 'node:fs/promises';
import { freePort } from './postgres.ts';
import { Launched } from './process.ts';
import { temporaryDirectory } from './tempdir.ts';

/** A Redis server of its own, on loopback, gone with its data when its scope ends. Valkey speaks the same protocol. */
export interface RedisServer extends AsyncDisposable {
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Kills the server as a crash does; `start` brings it back on the same port with what it had acknowledged. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Lets it hang without closing a connection, and go on. */
  pause(): void;
  resume(): void;
}

const PROGRAM = '/usr/bin/redis-server';

/** Why no Redis can be started here, or null. */
export async function redisMissing(): Promise<string | null> {
  return await access(PROGRAM).then(
    () => null,
    () => `no ${PROGRAM} (Debian package redis-server)`,
  );
}

/** `durable`: every write is on disk before it is acknowledged; without it a killed server comes back empty. */
export async function startRedis({ durable = true }: { readonly durable?: boolean } = {}): Promise<RedisServer> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory.path, '--save', '', '--loglevel', 'notice'];
  if (durable) args.push('--appendonly', 'yes', '--appendfsync', 'always');
  const launch = async (): Promise<Launched> => {
    const child = await Launched.launch(PROGRAM, args);
    await child.waitFor(/Ready to accept connections/);
    return child;
  };
  let server = await launch();
  stack.defer(async () => {
    server.signal('SIGCONT');
    await server.stop('SIGKILL');
  });
  const owned = stack.move();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill: async () => void (await server.stop('SIGKILL')),
    start: async () => {
      server = await launch();
    },
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
