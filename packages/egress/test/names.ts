import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { Resolve } from '../src/index.ts';

type Answers = (name: string, type: string, nth: number) => readonly string[];

/** A DNS server on loopback: it answers from a script, counts what it is asked, and sets every time to live to 0. */
export class NameServer implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket, answers: Answers) {
    this.#socket = socket;
    socket.on('message', (message, peer) => {
      const query = decode(message);
      const question = query.questions?.[0];
      if (question === undefined) return;
      const { name, type } = question;
      this.asked.push(`${name} ${type}`);
      const nth = this.asked.filter((one) => one === `${name} ${type}`).length;
      const found = answers(name, type, nth).map((data) => ({ type: type as 'A', name, ttl: 0, data }));
      const reply = encode({
        type: 'response',
        ...(query.id === undefined ? {} : { id: query.id }),
        flags: RECURSION_DESIRED,
        questions: [question],
        answers: found,
      });
      socket.send(reply, peer.port, peer.address);
    });
  }

  /** `answers` gives the addresses for the `nth` question for a name and type, from 1. */
  static async start(answers: Answers): Promise<NameServer> {
    const socket = createSocket('udp4');
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.bind(0, '127.0.0.1', resolve);
    await promise;
    return new NameServer(socket, answers);
  }

  /** Resolves through this server, with c-ares as Node's own resolver does. */
  get resolve(): Resolve {
    const resolver = new Resolver({ timeout: 1_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`]);
    return async (host) => {
      const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      const found = [
        ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
        ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
      ];
      if (found.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      return found;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
