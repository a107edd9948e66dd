import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What goes wrong with one connection: the peer is away; it goes on the way; what the peer answers to a batch is lost, with the connection
 * or for good. `outage` and `cut` lose what was sent, `unheard` and `silent` do not.
 */
export type Fault = 'outage' | 'cut' | 'unheard' | 'silent';

/** Bytes of a client after which it has sent entries, whatever it said to begin with. */
const GREETING = 1500;

/** A way to a peer on this machine whose connections meet the given faults one after the other, and then none. Knows nothing of protocols. */
export class FaultProxy implements AsyncDisposable {
  readonly faults: Fault[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: () => number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#pass(client, target()));
  }

  static async start(target: () => number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  #pass(client: Socket, port: number): void {
    const fault = this.faults.shift() ?? null;
    if (fault === 'outage') return void client.resetAndDestroy();
    const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let sent = 0;
    const isLost = (): boolean => (fault === 'unheard' || fault === 'silent') && sent > GREETING;
    for (const socket of [client, peer]) this.#sockets.add(socket.on('error', () => undefined));
    client.on('close', () => peer.destroy());
    peer.on('close', () => isLost() || client.destroy());
    client.on('data', (bytes) => {
      sent += bytes.length;
      if (fault === 'cut' && sent > GREETING) {
        peer.write(bytes.subarray(0, bytes.length / 2));
        client.resetAndDestroy();
      } else peer.write(bytes);
    });
    client.on('end', () => peer.end());
    const answer = (pass: () => void): void => {
      if (!isLost()) pass();
      else if (fault === 'unheard') client.resetAndDestroy();
    };
    peer.on('data', (bytes) => answer(() => client.write(bytes)));
    peer.on('end', () => answer(() => client.end()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
