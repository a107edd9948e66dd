import type { Principal } from '@sallyport/core';
import type { BodiesPort } from './ports.ts';

/** Bytes of a streamed reply that are kept; what comes after them is not. */
export const MAX_KEPT_STREAM: number = 4 * 1024 * 1024;

/** What there is of an exchange's texts: all of them, a reply that was cut at the bound, or not all because the disk refused. */
export type KeptState = 'sealed' | 'cut' | 'failed';

export interface Kept {
  readonly state: KeptState;
  /** Why the exchange must not go on, or null where it may. */
  readonly refusal: unknown;
}

/** The texts of one exchange on their way to where policy has them stored. Only for exchanges of known principals. */
export class KeptBodies {
  readonly #port: BodiesPort;
  readonly #principal: Principal;
  readonly #id: string;
  /** Null once it is being sealed. */
  #prompt: Uint8Array | null;
  #sealing: Promise<Kept> | null = null;
  #whole: Uint8Array | null = null;
  #stream: Buffer = Buffer.alloc(0);
  #streamed = 0;
  #cut = false;

  constructor(port: BodiesPort, principal: Principal, id: string, prompt: Uint8Array) {
    this.#port = port;
    this.#principal = principal;
    this.#id = id;
    this.#prompt = prompt;
  }

  /** Whether its prompt is being sealed. */
  get begun(): boolean {
    return this.#prompt === null;
  }

  /** Begins to seal the prompt, beside what the exchange does meanwhile. */
  begin(): void {
    if (this.#prompt === null) return;
    this.#sealing = this.#seal('prompt', this.#prompt);
    this.#prompt = null;
  }

  /** A whole reply, which nobody changes from now on. */
  replied(reply: Uint8Array): void {
    this.#whole = reply;
  }

  /** A piece of a stream goes to the client. */
  sent(piece: Uint8Array): void {
    const room = MAX_KEPT_STREAM - this.#streamed;
    const taken = Math.min(room, piece.length);
    if (taken < piece.length) this.#cut = true;
    if (taken === 0) return;
    if (this.#streamed + taken > this.#stream.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(MAX_KEPT_STREAM, Math.max(4096, 2 * (this.#streamed + taken))));
      this.#stream.copy(grown, 0, 0, this.#streamed);
      this.#stream = grown;
    }
    this.#stream.set(taken === piece.length ? piece : piece.subarray(0, taken), this.#streamed);
    this.#streamed += taken;
  }

  /** Once it has begun. Resolves when all of it is durable, or cannot be made so. `answered`: whether a whole reply is the client's to get. */
  async conclude(answered: boolean): Promise<Kept> {
    const reply = this.#streamed > 0 ? this.#stream.subarray(0, this.#streamed) : answered ? this.#whole : null;
    const parts = await Promise.all([this.#sealing, reply === null ? null : this.#seal('reply', reply)]);
    const lacking = parts.filter((part) => part !== null).find(({ state }) => state === 'failed');
    return lacking ?? { state: this.#cut ? 'cut' : 'sealed', refusal: null };
  }

  /** Never rejects: nobody waits for the prompt before the end of the exchange. */
  async #seal(part: 'prompt' | 'reply', body: Uint8Array): Promise<Kept> {
    try {
      const durable = await this.#port.seal(this.#principal, `${this.#id}-${part}`, body);
      return { state: durable ? 'sealed' : 'failed', refusal: null };
    } catch (refusal) {
      return { state: 'failed', refusal };
    }
  }
}
