import type { Worker } from 'node:cluster';

/** What `node:cluster` sends with a connection, and what it answers to it (Node's lib/internal/cluster, 20 to 24). */
interface ClusterMessage {
  readonly cmd?: unknown;
  readonly act?: unknown;
  readonly seq?: unknown;
  readonly ack?: unknown;
}

interface Closable {
  close(): void;
}

/**
 * Closes the connections a worker was being given when it ended. `node:cluster` closes its own hold on one when the worker says that it
 * has it, so one that is killed before that would leave a connection open that nobody reads, and its client waiting for ever.
 *
 * It is not given to another worker: the dead one may have read a part, and what is left would be taken for a request of its own.
 */
export function closeWithWorker({ process: child }: Worker): void {
  const handed = new Map<unknown, Closable>();
  const send = child.send;
  child.send = (...args: unknown[]): boolean => {
    const [message, handle] = args as [ClusterMessage | null, unknown];
    if (message?.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && isClosable(handle)) handed.set(message.seq, handle);
    return Reflect.apply(send, child, args) as boolean;
  };
  child.on('internalMessage', ({ ack }: ClusterMessage) => handed.delete(ack));
  // Not `disconnect`: it does not come while a connection is on its way. What the worker had still said is heard before.
  child.once('exit', () =>
    setImmediate(() => {
      for (const connection of handed.values()) connection.close();
      handed.clear();
    }),
  );
}

function isClosable(handle: unknown): handle is Closable {
  return typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function';
}
