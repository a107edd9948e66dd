import type { Socket } from 'node:net';
import type { Egress, TlsOptions } from '@sallyport/egress';
import type { SoundEvent } from '../event.ts';
import { type Attempt, type Delivery, DeliveryFailed, type Destination } from './destination.ts';
import { openSocket, write } from './socket.ts';

export interface RelpOptions {
  readonly url: URL;
  readonly tls: TlsOptions | null;
  readonly egress: Egress;
  /** The syslog message of an event, not framed. */
  readonly encode: (event: SoundEvent) => string;
}

interface Response {
  readonly transaction: number;
  readonly status: number;
}

/** Messages that may wait for their response: the window librelp uses. */
const WINDOW = 128;
const LAST_TRANSACTION = 999_999_999;
const LONGEST_ANSWER = 65_536;

/**
 * RELP (librelp's protocol description, version 0): syslog with an answer for each message. Answers may come in any order; a batch is
 * delivered when all have come.
 */
export class Relp implements Destination {
  readonly #options: RelpOptions;
  #session: RelpSession | null = null;

  constructor(options: RelpOptions) {
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const { egress, url, tls, encode } = this.#options;
    this.#session ??= await RelpSession.open(await openSocket(egress, url, tls, signal), signal);
    const session = this.#session;
    const indices = new Map<number, number>();
    const refused: Delivery['refused'][number][] = [];
    const settle = async (most: number): Promise<void> => {
      while (indices.size > most) {
        const { transaction, status } = await session.response(signal);
        const index = indices.get(transaction);
        // An answer to nothing that was asked says nothing.
        if (index === undefined) continue;
        indices.delete(transaction);
        if (status !== 200) refused.push({ index, reason: `RELP ${status}` });
      }
    };
    for (const [index, event] of events.entries()) {
      await settle(WINDOW - 1);
      indices.set(await session.send('syslog', encode(event), signal), index);
    }
    await settle(0);
    return { refused, again: [], retryAfter: null };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session?.destroy();
  }
}

/** `TXNR SP COMMAND SP DATALEN [SP DATA] LF` in both directions. */
class RelpSession {
  readonly #socket: Socket;
  readonly #answers: Response[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  #transaction = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('close', () => this.#fail(new DeliveryFailed('the receiver broke off the connection')));
  }

  static async open(socket: Socket, signal: AbortSignal): Promise<RelpSession> {
    const session = new RelpSession(socket);
    await session.send('open', 'relp_version=0\nrelp_software=sallyport\ncommands=syslog', signal);
    const { status } = await session.response(signal);
    if (status !== 200) {
      session.destroy();
      throw new DeliveryFailed(`RELP open ${status}`);
    }
    return session;
  }

  async send(command: 'open' | 'syslog', data: string, signal: AbortSignal): Promise<number> {
    this.#transaction = this.#transaction === LAST_TRANSACTION ? 1 : this.#transaction + 1;
    await write(this.#socket, `${this.#transaction} ${command} ${Buffer.byteLength(data)} ${data}\n`, signal);
    return this.#transaction;
  }

  async response(signal: AbortSignal): Promise<Response> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) return answer;
      if (this.#failure !== null) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      const abort = (): void => {
        this.#fail(signal.reason);
      };
      this.#wake = resolve;
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
      await promise;
      signal.removeEventListener('abort', abort);
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#wake?.();
  }

  /** The peer is a stranger: whatever does not look like a response ends the session. */
  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const head = /^(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])/.exec(this.#rest.toString('latin1', 0, 64));
      if (head === null) {
        if (this.#rest.length >= 64) this.#fail(new DeliveryFailed('the receiver does not speak RELP'));
        break;
      }
      const [start = '', transaction, command, length, separator] = head;
      // Without data the frame ends with the line feed that stands in place of the space.
      const size = separator === '\n' ? start.length : start.length + Number(length) + 1;
      if (Number(length) > LONGEST_ANSWER) {
        this.#fail(new DeliveryFailed('the receiver does not speak RELP'));
        return;
      }
      if (this.#rest.length < size) break;
      const data = this.#rest.toString('latin1', start.length, size - 1);
      this.#rest = this.#rest.subarray(size);
      if (command === 'serverclose') this.#fail(new DeliveryFailed('the receiver closed the session'));
      else if (this.#answers.length > 2 * WINDOW) this.#fail(new DeliveryFailed('the receiver answers what was not asked'));
      else if (command === 'rsp') this.#answers.push({ transaction: Number(transaction), status: Number(/^\d{3}/.exec(data)?.[0] ?? 0) });
    }
    this.#wake?.();
  }
}
