import { createHash, createHmac } from 'node:crypto';
import type { SoundEvent } from '../event.ts';
import { type Attempt, DELIVERED, type Delivery, type Destination } from './destination.ts';
import { expectSuccess, type HttpPeer } from './http.ts';

export interface WebhookOptions {
  readonly url: string;
  /** `whsec_` and the key in base64 (standardwebhooks.com). */
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly encode: (event: SoundEvent) => string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** A secret that is not `whsec_` and at least 24 bytes in base64. */
export class WeakSecret extends Error {
  override readonly name: string = 'WeakSecret';
}

/** The bytes of a `whsec_` secret. @throws {WeakSecret} */
export function webhookKey(secret: string): Buffer {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const key = Buffer.from(base64 ?? '', 'base64');
  if (key.length < 24) throw new WeakSecret('a webhook secret is whsec_ and 24 to 64 random bytes in base64');
  return key;
}

/** A signed webhook as standardwebhooks.com specifies it: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<HMAC-SHA-256>`. */
export class Webhook implements Destination {
  readonly #peer: HttpPeer;
  readonly #options: WebhookOptions;
  readonly #key: Buffer;

  constructor(peer: HttpPeer, options: WebhookOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#key = webhookKey(options.secret);
  }

  async deliver(events: readonly SoundEvent[], { number, signal }: Attempt): Promise<Delivery> {
    const { url, headers, encode, now } = this.#options;
    const data = events.map((event) => `{"id":"${event.entry.hash}","log":"${event.log}","event":${encode(event)}}`);
    const body = `{"type":"sallyport.audit","timestamp":"${events.at(-1)?.entry.time}","data":{"events":[${data.join(',')}]}}`;
    // The same batch has the same id, whoever sends it and however often: receivers that keep ids drop the second.
    const id = `msg_${createHash('sha256').update(body).digest('base64url').slice(0, 32)}`;
    const timestamp = String(Math.floor(now() / 1000));
    const signature = createHmac('sha256', this.#key).update(`${id}.${timestamp}.${body}`).digest('base64');
    const answer = await this.#peer.send({
      url,
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
        'x-sallyport-attempt': String(number),
      },
      body,
      signal,
    });
    expectSuccess(answer);
    return DELIVERED;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}
