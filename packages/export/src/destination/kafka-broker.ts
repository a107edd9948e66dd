import type { Socket } from 'node:net';
import type * as Library from '@platformatic/kafka';
import { DeliveryFailed } from './destination.ts';
import { authenticate, type KafkaCredentials } from './kafka-sasl.ts';
import { write } from './socket.ts';

export type KafkaLibrary = typeof Library;

/** One version of an API, as the library has it: how its request is written and its response read. */
export interface KafkaApi<Request extends readonly unknown[], Response> {
  readonly createRequest: (...request: Request) => Library.Writer;
  readonly parseResponse: (correlationId: number, apiKey: number, apiVersion: number, reader: Library.Reader) => Response;
  readonly api: { readonly key: number; readonly version: number };
}

/** Answers to what we ask are a few kilobytes; those of a cluster of a thousand brokers, a hundred. */
const LONGEST_ANSWER = 1 << 20;
/** Bytes of the length before it. */
const FRAME_LENGTH = 4;
const CLIENT = 'sallyport';

/** From which version on an API is "flexible": its header has tagged fields (KIP-482). SaslHandshake (17) never was. */
const FLEXIBLE: Readonly<Record<number, number>> = { 0: 9, 3: 9, 18: 3, 22: 2, 36: 2 };
const API_VERSIONS = 18;

/**
 * One connection to a Kafka broker: frames, versions and SASL. The socket is ours, opened through the way out; what is in the frames is
 * written and read by the library. One request at a time, so that answers come in order.
 */
export class KafkaBroker {
  readonly #kafka: KafkaLibrary;
  readonly #socket: Socket;
  readonly #versions = new Map<number, { readonly min: number; readonly max: number }>();
  #correlation = 0;
  /** When the broker ends the session, monotonic milliseconds. */
  #until = Number.POSITIVE_INFINITY;
  #rest: Buffer = Buffer.alloc(0);
  #failure: Error | null = null;
  #wake: (() => void) | null = null;

  private constructor(kafka: KafkaLibrary, socket: Socket) {
    this.#kafka = kafka;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      // One answer is owed at a time, and none while nothing was asked: who sends more would fill the memory.
      if (this.#rest.length > LONGEST_ANSWER + FRAME_LENGTH) this.#fail(new DeliveryFailed('the broker sends more than was asked'));
      this.#wake?.();
    });
    socket.on('close', () => this.#fail(new DeliveryFailed('the broker broke off the connection')));
  }

  /** @throws {DeliveryFailed} it is no Kafka broker, too old, or does not accept the credentials */
  static async open(kafka: KafkaLibrary, socket: Socket, credentials: KafkaCredentials | null, signal: AbortSignal): Promise<KafkaBroker> {
    const broker = new KafkaBroker(kafka, socket);
    try {
      const { errorCode, apiKeys } = await broker.ask(kafka.apiVersionsV3, [CLIENT, '1'], signal);
      // A broker that does not know this version says so with error 35: it is older than Kafka 2.4.
      expectSuccess(kafka, errorCode);
      for (const { apiKey, minVersion, maxVersion } of apiKeys) broker.#versions.set(apiKey, { min: minVersion, max: maxVersion });
      if (credentials !== null) broker.#until = performance.now() + (await authenticate(kafka, broker, credentials, signal));
      return broker;
    } catch (error) {
      broker.destroy();
      throw error;
    }
  }

  /** Whether it is of no more use: closed, or about to be by the broker because what we authenticated with ends (KIP-368). */
  get destroyed(): boolean {
    return this.#failure !== null || performance.now() > this.#until;
  }

  /** The first of the versions that the broker has too. @throws {DeliveryFailed} none */
  choose<Request extends readonly unknown[], Response>(versions: readonly KafkaApi<Request, Response>[]): KafkaApi<Request, Response> {
    for (const version of versions) {
      const known = this.#versions.get(version.api.key);
      if (known !== undefined && known.min <= version.api.version && version.api.version <= known.max) return version;
    }
    throw new DeliveryFailed(`Kafka UNSUPPORTED_VERSION of API ${versions[0]?.api.key}`);
  }

  /** The answer to one request, error codes in it included. @throws {DeliveryFailed} · the signal's reason */
  async ask<Request extends readonly unknown[], Response>(
    { createRequest, parseResponse, api: { key, version } }: KafkaApi<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const isFlexible = version >= (FLEXIBLE[key] ?? Number.POSITIVE_INFINITY);
    this.#correlation = (this.#correlation + 1) & 0x7fffffff;
    const head = this.#kafka.Writer.create().appendInt16(key).appendInt16(version).appendInt32(this.#correlation);
    head.appendString(CLIENT, false);
    if (isFlexible) head.appendTaggedFields();
    await write(this.#socket, head.appendFrom(createRequest(...request)).prependLength().buffer, signal);
    const frame = await this.#frame(signal);
    if (frame.readInt32BE(0) !== this.#correlation) throw this.#fail(new DeliveryFailed('the broker answers what was not asked'));
    // The header of ApiVersions' answer has no tagged fields in any version, so that a broker of any age can be asked.
    const body = frame.subarray(isFlexible && key !== API_VERSIONS ? 5 : 4);
    try {
      return parseResponse(this.#correlation, key, version, this.#kafka.Reader.from(body));
    } catch (error) {
      // The library throws where a code in the answer is an error; the answer is with it.
      if (error instanceof this.#kafka.ResponseError) return error['response'] as Response;
      throw this.#fail(new DeliveryFailed('the broker does not speak Kafka', { cause: error }));
    }
  }

  destroy(): void {
    this.#fail(new DeliveryFailed('the connection was closed'));
  }

  /** The next answer: length, and that many bytes. */
  async #frame(signal: AbortSignal): Promise<Buffer> {
    const abort = (): void => void this.#fail(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    try {
      for (;;) {
        const length = this.#rest.length < 4 ? null : this.#rest.readInt32BE(0);
        // The peer is a stranger: TLS where none is expected, or anything else that is no frame.
        if (length !== null && (length < 5 || length > LONGEST_ANSWER)) this.#fail(new DeliveryFailed('the broker does not speak Kafka'));
        if (this.#failure !== null) throw this.#failure;
        if (length !== null && this.#rest.length >= 4 + length) {
          const frame = this.#rest.subarray(4, 4 + length);
          this.#rest = this.#rest.subarray(4 + length);
          return frame;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    } finally {
      this.#wake = null;
      signal.removeEventListener('abort', abort);
    }
  }

  #fail(error: Error): Error {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#wake?.();
    return this.#failure;
  }
}

/** @throws {DeliveryFailed} with the name of the code, where it is one of an error */
export function expectSuccess(kafka: KafkaLibrary, code: number): void {
  if (code !== 0) throw new DeliveryFailed(`Kafka ${errorName(kafka, code)}`);
}

/** The name of an error code in the protocol, or its number. */
export function errorName(kafka: KafkaLibrary, code: number): string {
  return (kafka.protocolErrorsCodesById as Readonly<Record<number, string>>)[code] ?? `error ${code}`;
}
