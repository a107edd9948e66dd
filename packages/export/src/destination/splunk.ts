import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { SoundEvent } from '../event.ts';
import type { Attempt, Delivery, Destination } from './destination.ts';
import { DELIVERED, DeliveryFailed } from './destination.ts';
import { answerObject, expectSuccess, type HttpAnswer, type HttpPeer } from './http.ts';

export interface SplunkOptions {
  /** Without a path. */
  readonly url: string;
  readonly token: string;
  readonly index: string | null;
  readonly acknowledge: boolean;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The event's body, an object. */
  readonly encode: (event: SoundEvent) => unknown;
}

/** Milliseconds between two questions whether the events are indexed. */
const ACK_POLL = 250;
const ACK_POLL_MOST = 2000;

/**
 * Splunk HTTP Event Collector: `/services/collector/event`, with indexer acknowledgement on a channel of its own
 * (docs.splunk.com, "About HTTP Event Collector Indexer Acknowledgment"). A batch counts as delivered when its `ackId` is true.
 */
export class Splunk implements Destination {
  readonly #options: SplunkOptions;
  readonly #peer: HttpPeer;
  readonly #channel: string = randomUUID();

  constructor(peer: HttpPeer, options: SplunkOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const body = events.map((event) => JSON.stringify(this.#envelope(event))).join('\n');
    const answer = await this.#post('/services/collector/event', body, signal);
    const { code, ackId, 'invalid-event-number': invalid } = answerObject(answer);
    // 7, 10, 11, 14: index, channel or acknowledgement are not set up, which no event is to blame for, though 7 names one.
    if (answer.status === 400 && [7, 10, 11, 14].includes(Number(code))) throw new DeliveryFailed(`HEC code ${Number(code)}`);
    if (answer.status === 400 && typeof invalid === 'number' && invalid < events.length) {
      // Splunk stops at an event it cannot take; those before it may be in the index and come again, under the same id.
      const again = events.keys().filter((index) => index !== invalid);
      return { refused: [{ index: invalid, reason: `HEC code ${Number(code)}` }], again: [...again], retryAfter: 0 };
    }
    expectSuccess(answer);
    if (!this.#options.acknowledge) return DELIVERED;
    if (typeof ackId !== 'number') throw new DeliveryFailed('HEC gave no ackId: acknowledgement is off for this token');
    await this.#indexed(ackId, signal);
    return DELIVERED;
  }

  /** Until the indexer says so. The attempt's time is the bound: then the batch is sent again. */
  async #indexed(ackId: number, signal: AbortSignal): Promise<void> {
    for (let wait = ACK_POLL; ; wait = Math.min(ACK_POLL_MOST, wait * 1.5)) {
      const answer = await this.#post(`/services/collector/ack?channel=${this.#channel}`, JSON.stringify({ acks: [ackId] }), signal);
      expectSuccess(answer);
      const { acks } = answerObject(answer);
      if (typeof acks === 'object' && acks !== null && Reflect.get(acks, String(ackId)) === true) return;
      await delay(wait, undefined, { signal });
    }
  }

  #post(path: string, body: string, signal: AbortSignal): Promise<HttpAnswer> {
    const { url, token, headers } = this.#options;
    return this.#peer.send({
      url: `${url}${path}`,
      method: 'POST',
      headers: {
        ...headers,
        authorization: `Splunk ${token}`,
        'content-type': 'application/json',
        'x-splunk-request-channel': this.#channel,
      },
      body,
      signal,
    });
  }

  #envelope(event: SoundEvent): Record<string, unknown> {
    const { index, host } = this.#options;
    return {
      time: Date.parse(event.entry.time) / 1000,
      host,
      source: `sallyport:${event.log}`,
      sourcetype: 'sallyport:audit',
      ...(index === null ? {} : { index }),
      event: this.#options.encode(event),
      // Indexed, so that a search can drop what came twice: `| dedup sallyport_id`.
      fields: { sallyport_id: event.entry.hash, sallyport_log: event.log, sallyport_seq: String(event.seq) },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}
