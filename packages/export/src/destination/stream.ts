import type { Socket } from 'node:net';
import type { Egress, TlsOptions } from '@sallyport/egress';
import type { SoundEvent } from '../event.ts';
import { type Attempt, DELIVERED, type Delivery, type Destination } from './destination.ts';
import { finish, openSocket, write } from './socket.ts';

export interface StreamOptions {
  readonly url: URL;
  readonly tls: TlsOptions | null;
  readonly egress: Egress;
  /** Whether to end the connection after each batch and wait for the receiver to do the same. */
  readonly acknowledge: boolean;
  /** The bytes of one event, framed. */
  readonly encode: (event: SoundEvent) => string;
}

/**
 * Events over a bare TCP or TLS stream that has no answers: syslog (RFC 6587, RFC 5425) and GELF. With `acknowledge` each batch has a
 * connection of its own, and counts as delivered once the receiver, having read it to its end, has ended the connection too. Without,
 * the connection stays open, and what is in flight when it breaks is lost.
 */
export class EventStream implements Destination {
  readonly #options: StreamOptions;
  #socket: Socket | null = null;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const { egress, url, tls, encode, acknowledge } = this.#options;
    if (this.#socket?.destroyed !== false) this.#socket = await openSocket(egress, url, tls, signal);
    await write(this.#socket, events.map(encode).join(''), signal);
    if (acknowledge) {
      await finish(this.#socket, signal);
      this.#socket = null;
    }
    return DELIVERED;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.destroy();
  }
}
