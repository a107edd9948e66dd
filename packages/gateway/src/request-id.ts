import type { Random } from '@sallyport/core';

/** Bytes of one id: 96 random bits, so that no two requests of an installation ever share one and none can be guessed. */
const LENGTH = 12;
/** Ids made from one draw: asking the system for random bytes costs more than all the rest of an id. */
const BATCH = 256;

/** Makes request ids, URL-safe. */
export class RequestIds {
  readonly #random: Random;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    if (this.#at >= this.#bytes.length) {
      this.#bytes = Buffer.from(this.#random.bytes(LENGTH * BATCH));
      this.#at = 0;
    }
    const id = this.#bytes.toString('base64url', this.#at, this.#at + LENGTH);
    this.#at += LENGTH;
    return id;
  }
}
