import { connect, type Socket } from 'node:net';
import { Launched } from './process.ts';

/** An upstream that listens and never accepts: connecting to it takes for ever. */
export interface DeafUpstream extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

const LISTEN = `const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log('port ' + server.address().port));`;
const PROBE_MS = 150;
const MOST_FILLERS = 64;

/**
 * A stopped process with a full accept queue: the kernel then drops further connection attempts, as a dead host would.
 * (A user-space server cannot refuse to accept otherwise.)
 */
export async function startDeafUpstream(): Promise<DeafUpstream> {
  await using stack = new AsyncDisposableStack();
  const child = await Launched.launch(process.execPath, ['-e', LISTEN]);
  stack.defer(async () => void (await child.stop('SIGKILL')));
  const port = Number((await child.waitFor(/port (\d+)\n/))[1]);
  child.signal('SIGSTOP');
  const fillers: Socket[] = [];
  stack.defer(() => {
    for (const socket of fillers) socket.destroy();
  });
  while (await connects(port, fillers)) {
    if (fillers.length > MOST_FILLERS) throw new Error('the accept queue does not fill up');
  }
  const owned = stack.move();
  return { port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Opens one more connection, kept open, and tells whether it was established in time. */
function connects(port: number, kept: Socket[]): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false));
  kept.push(socket);
  const timer = setTimeout(resolve, PROBE_MS, false);
  return promise.finally(() => clearTimeout(timer));
}
