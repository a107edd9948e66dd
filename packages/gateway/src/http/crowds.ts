import type { Socket } from 'node:net';
import { canonicalIp, networkOf } from '@sallyport/access';
import type { Logger } from '@sallyport/core';

/** Milliseconds between two lines of the log about connections that were closed: a flood must not fill it. */
const SAY_EVERY = 10_000;

/** Counts the open connections of each source address (IPv6: each /64) and closes those beyond its bound. */
export class Crowds {
  readonly #boundOf: (address: string) => number;
  readonly #logger: Logger;
  readonly #open = new Map<string, number>();
  #closed = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(boundOf: (address: string) => number, logger: Logger) {
    this.#boundOf = boundOf;
    this.#logger = logger;
  }

  /** False where its address has as many as it may: the connection is closed then, before a byte of it is read. */
  admit(socket: Socket): boolean {
    const address = canonicalIp(socket.remoteAddress ?? '');
    // A peer that has gone already holds nothing.
    if (address === null) return true;
    const network = networkOf(address);
    const open = this.#open.get(network) ?? 0;
    const bound = this.#boundOf(address);
    if (open >= bound) {
      socket.destroy();
      this.#say(address, bound);
      return false;
    }
    this.#open.set(network, open + 1);
    socket.once('close', () => {
      const left = (this.#open.get(network) ?? 1) - 1;
      if (left === 0) this.#open.delete(network);
      else this.#open.set(network, left);
    });
    return true;
  }

  #say(address: string, bound: number): void {
    this.#closed += 1;
    const now = performance.now();
    if (now - this.#saidAt < SAY_EVERY) return;
    this.#saidAt = now;
    this.#logger.warn('listener.crowded', { address, bound, closed: this.#closed });
    this.#closed = 0;
  }
}
