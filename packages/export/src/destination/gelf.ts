import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Egress } from '@sallyport/egress';
import type { SoundEvent } from '../event.ts';
import { LEVELS, severityOf } from '../format/severity.ts';
import { type Attempt, DELIVERED, type Delivery, DeliveryFailed, type Destination } from './destination.ts';
import { expectSuccess, type HttpPeer } from './http.ts';

/** A GELF 1.1 message (Graylog's payload specification). `full` becomes `full_message`. */
export function gelfMessage({ entry, log }: SoundEvent, host: string, full: string | null): string {
  const { principal, source, model, usage, latency, decision, verdicts } = entry;
  const severity = severityOf(entry);
  return JSON.stringify({
    version: '1.1',
    host,
    short_message: `${entry.kind} ${entry.action} ${entry.outcome}${entry.fault === null ? '' : `: ${entry.fault}`}`,
    ...(full === null ? {} : { full_message: full }),
    timestamp: Date.parse(entry.time) / 1000,
    level: LEVELS[severity].syslog,
    _event_id: entry.hash,
    _log: log,
    _seq: entry.seq,
    _request_id: entry.id,
    _kind: entry.kind,
    _action: entry.action,
    _outcome: entry.outcome,
    ...present('_fault', entry.fault),
    ...present('_resource', entry.resource),
    ...present('_rule', decision?.rule),
    ...present('_principal', principal?.id),
    ...present('_tenant', principal?.tenant),
    ...present('_credential', principal?.credential),
    ...present('_source_ip', source?.ip),
    ...present('_model', model?.name),
    ...present('_upstream', model?.upstream),
    ...present('_tokens_input', usage?.input),
    ...present('_tokens_output', usage?.output),
    ...present('_milliseconds', latency?.total),
    ...(verdicts.length === 0 ? {} : { _findings: verdicts.map(({ detector, category }) => `${detector}/${category}`).join(' ') }),
  });
}

function present(key: string, value: string | number | null | undefined): Record<string, string | number> {
  return value === null || value === undefined ? {} : { [key]: value };
}

/** One message a request to `/gelf`, in order: what Graylog's HTTP input takes. */
export class GelfHttp implements Destination {
  readonly #peer: HttpPeer;
  readonly #options: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly encode: (event: SoundEvent) => string;
  };

  constructor(
    peer: HttpPeer,
    options: { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly encode: (event: SoundEvent) => string },
  ) {
    this.#peer = peer;
    this.#options = options;
  }

  /** What follows a message that was not taken is left for the next attempt. */
  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const { url, headers, encode } = this.#options;
    for (const [i, event] of events.entries()) {
      const answer = await this.#peer
        .send({ url, method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: encode(event), signal })
        .catch((error: unknown) => {
          if (i === 0) throw error;
          return null;
        });
      const rest = events.keys().drop(i);
      if (answer === null) return { refused: [], again: [...rest], retryAfter: null };
      if (answer.status === 400 || answer.status === 413)
        return { refused: [{ index: i, reason: `HTTP ${answer.status}` }], again: [...rest.drop(1)], retryAfter: 0 };
      if (i > 0 && answer.status >= 300) return { refused: [], again: [...rest], retryAfter: answer.retryAfter };
      expectSuccess(answer);
    }
    return DELIVERED;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#peer[Symbol.asyncDispose]();
  }
}

/** Bytes of one datagram, its chunk header included: fits an Ethernet frame. */
const DATAGRAM = 1420;
const CHUNK_HEADER = 12;
const MOST_CHUNKS = 128;

/** GELF over UDP, in chunks where a message is longer than a datagram. Nothing tells whether a datagram arrived. */
export class GelfUdp implements Destination {
  readonly #egress: Egress;
  readonly #url: URL;
  readonly #encode: (event: SoundEvent) => string;
  #socket: Socket | null = null;

  constructor(egress: Egress, url: URL, encode: (event: SoundEvent) => string) {
    this.#egress = egress;
    this.#url = url;
    this.#encode = encode;
  }

  async deliver(events: readonly SoundEvent[], { signal }: Attempt): Promise<Delivery> {
    const socket = this.#socket ?? (await this.#open(signal));
    const refused: Delivery['refused'][number][] = [];
    for (const [index, event] of events.entries()) {
      const datagrams = gelfDatagrams(Buffer.from(this.#encode(event)));
      if (datagrams === null) refused.push({ index, reason: `longer than ${MOST_CHUNKS} datagrams` });
      for (const datagram of datagrams ?? []) await send(socket, datagram);
      signal.throwIfAborted();
    }
    return { refused, again: [], retryAfter: null };
  }

  /** Connected, so that a port nobody listens on is told of by the next send. */
  async #open(signal: AbortSignal): Promise<Socket> {
    const port = Number(this.#url.port);
    const [to] = await this.#egress.addressesOf(this.#url.hostname, port);
    if (to === undefined) throw new DeliveryFailed('the receiver has no address');
    const socket = createSocket(to.family === 6 ? 'udp6' : 'udp4');
    socket.connect(port, to.address);
    await once(socket, 'connect', { signal });
    socket.on('error', () => undefined);
    this.#socket = socket;
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.close();
    this.#socket = null;
  }
}

function send(socket: Socket, datagram: Buffer): Promise<void> {
  return new Promise((resolve, reject) => socket.send(datagram, (error) => (error === null ? resolve() : reject(error))));
}

/** Magic `1e 0f`, message id, number and count of each chunk. Null where 128 do not hold it. */
export function gelfDatagrams(message: Buffer): Buffer[] | null {
  if (message.length <= DATAGRAM) return [message];
  const size = DATAGRAM - CHUNK_HEADER;
  const count = Math.ceil(message.length / size);
  if (count > MOST_CHUNKS) return null;
  const id = randomBytes(8);
  return Array.from({ length: count }, (_, i) =>
    Buffer.concat([Buffer.of(0x1e, 0x0f), id, Buffer.of(i, count), message.subarray(i * size, (i + 1) * size)]),
  );
}
