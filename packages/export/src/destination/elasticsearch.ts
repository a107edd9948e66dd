import type { SoundEvent } from '../event.ts';
import { type Attempt, type Delivery, DeliveryFailed, type Destination } from './destination.ts';
import { answerObject, expectSuccess, type HttpPeer } from './http.ts';

export interface ElasticsearchOptions {
  readonly url: string;
  /** Index or data stream. */
  readonly index: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly encode: (event: SoundEvent) => string;
}

/**
 * Elasticsearch and OpenSearch: `_bulk` with `create` under the entry's hash as `_id`, so that what arrives twice is stored once. Each
 * item is answered for itself: 409 is there already; 429 and 5xx are tried again, and so are 401, 403 and 404 (a privilege, a blocked or
 * missing index: a setting, not the entry); anything else is refused for good.
 */
export class Elasticsearch implements Destination {
  readonly #peer: HttpPeer;
  readonly #options: ElasticsearchOptions;

  constructor(peer: HttpPeer, options: ElasticsearchOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const { url, index, headers, encode } = this.#options;
    const answer = await this.#peer.send({
      url: `${url}/${encodeURIComponent(index)}/_bulk?filter_path=errors,items.*.status,items.*.error.type`,
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/x-ndjson' },
      body: events.map((event) => `{"create":{"_id":"${event.entry.hash}"}}\n${encode(event)}\n`).join(''),
      signal,
    });
    expectSuccess(answer);
    const { errors, items } = answerObject(answer);
    if (errors === false && items === undefined) return { refused: [], again: [], retryAfter: null };
    if (!Array.isArray(items) || items.length !== events.length) throw new DeliveryFailed('the answer does not speak of every event');
    const refused: Delivery['refused'][number][] = [];
    const again: number[] = [];
    for (const [i, item] of items.entries()) {
      const { status, type } = itemOf(item);
      if ((status >= 200 && status < 300) || status === 409) continue;
      if (LATER.has(status) || status >= 500) again.push(i);
      else refused.push({ index: i, reason: `item ${status} ${type}` });
    }
    return { refused, again, retryAfter: answer.retryAfter };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}

const LATER: ReadonlySet<number> = new Set([401, 403, 404, 429]);

/** Status and error type of a bulk item. The peer is a stranger: what is not as documented counts as to be tried again. */
function itemOf(item: unknown): { readonly status: number; readonly type: string } {
  const result: unknown = typeof item === 'object' && item !== null ? Object.values(item)[0] : null;
  if (typeof result !== 'object' || result === null) return { status: 500, type: '' };
  const status: unknown = Reflect.get(result, 'status');
  const error: unknown = Reflect.get(result, 'error');
  const type: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'type') : '';
  return {
    status: typeof status === 'number' ? status : 500,
    type: typeof type === 'string' && /^[a-z_]{1,64}$/.test(type) ? type : '',
  };
}
