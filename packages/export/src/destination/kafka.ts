import { setTimeout as delay } from 'node:timers/promises';
import type { MessageRecord } from '@platformatic/kafka';
import type { KafkaCompression } from '@sallyport/core';
import { type Egress, EgressRefused, type TlsOptions } from '@sallyport/egress';
import type { SoundEvent } from '../event.ts';
import { type Attempt, type Delivery, DeliveryFailed, type Destination } from './destination.ts';
import { errorName, KafkaBroker, type KafkaLibrary } from './kafka-broker.ts';
import type { KafkaCredentials } from './kafka-sasl.ts';
import { openSocket } from './socket.ts';

export interface KafkaOptions {
  readonly egress: Egress;
  /** Brokers to ask for the cluster, `tcp://host:port` or `tls://host:port`. */
  readonly brokers: readonly URL[];
  readonly topic: string;
  readonly tls: TlsOptions | null;
  readonly credentials: KafkaCredentials | null;
  readonly compression: KafkaCompression;
  readonly encode: (event: SoundEvent) => string;
}

interface Placed {
  /** In the batch. */
  readonly index: number;
  readonly event: SoundEvent;
}

/** Leaders of the topic's partitions, by partition; null where it has none at the moment. */
type Leaders = ReadonlyMap<number, { readonly host: string; readonly port: number } | null>;

/** Every replica in sync has to have it (`acks=all`). */
const ALL_REPLICAS = -1;
/** Milliseconds the leader may wait for them. */
const REPLICAS_TIMEOUT = 10_000;
/** How often a batch is sent within an attempt, under the same numbers, so that the broker stores it once. */
const TRIES = 5;
const LAST_SEQUENCE = 0x7fffffff;

/** Codes that speak of the records, whoever sends them and however often. */
const REFUSED: ReadonlySet<number> = new Set([10, 18, 32, 44, 87]);
/** The broker has it from an earlier try. */
const DUPLICATE = 46;
/** The broker does not know the producer's numbers any more: what was sent last is in doubt. */
const LOST_PRODUCER: ReadonlySet<number> = new Set([45, 47, 49, 59, 90]);

/**
 * A topic of Apache Kafka (protocol of 2.4 and later): idempotent producer, `acks=all`. The key of a record is the name of the log its entry
 * stands in, so that a log is in one partition and in order there. Leaders are connected to only where the configuration names them.
 */
export class KafkaTopic implements Destination {
  readonly #options: KafkaOptions;
  readonly #connections = new Map<string, KafkaBroker>();
  #leaders: Leaders | null = null;
  #producer: { readonly producerId: bigint; readonly producerEpoch: number } | null = null;
  /** Number of the next record, by partition. */
  readonly #sequences = new Map<number, number>();

  constructor(options: KafkaOptions) {
    this.#options = options;
  }

  async deliver(events: readonly SoundEvent[], attempt: Attempt): Promise<Delivery> {
    // Loaded with the first batch: nobody else pays for it.
    const kafka = await import('@platformatic/kafka');
    this.#leaders ??= await this.#findLeaders(kafka, attempt.signal);
    const partitions = [...this.#leaders.keys()].sort((a, b) => a - b);
    const placed = events.map((event, index) => ({ index, event }));
    const refused: Delivery['refused'][number][] = [];
    const again: number[] = [];
    let taken = 0;
    for (const [partition, lane] of Map.groupBy(placed, ({ event }) => partitionOf(kafka, event.log, partitions))) {
      try {
        refused.push(...(await this.#append(kafka, partition, lane, attempt)));
        taken++;
      } catch (error) {
        // With nothing taken the whole batch is sent again; else what is not, so that the rest does not arrive twice.
        if (taken === 0 || attempt.signal.aborted) throw error;
        this.#forget();
        again.push(...lane.map(({ index }) => index));
      }
    }
    return { refused, again, retryAfter: null };
  }

  /** Appends records to a partition, in order. Returns those that the broker will not take. */
  async #append(kafka: KafkaLibrary, partition: number, lane: readonly Placed[], attempt: Attempt): Promise<Delivery['refused'][number][]> {
    if (lane.length === 0) return [];
    const { code, culprits } = await this.#produce(kafka, partition, lane, attempt);
    if (code === 0 || code === DUPLICATE) {
      this.#sequences.set(partition, after(this.#sequences.get(partition) ?? 0, lane.length));
      return [];
    }
    const reason = `Kafka ${errorName(kafka, code)}`;
    if (!REFUSED.has(code)) {
      this.#forget();
      if (LOST_PRODUCER.has(code)) this.#producer = null;
      throw new DeliveryFailed(reason);
    }
    // The broker drops the whole batch and says which records it means (KIP-467), or it is halved until one is alone.
    const named = new Set(culprits.filter((at) => at >= 0 && at < lane.length));
    if (named.size === 0 && lane.length === 1) named.add(0);
    if (named.size > 0) {
      const rest = await this.#append(
        kafka,
        partition,
        lane.filter((_, at) => !named.has(at)),
        attempt,
      );
      return [...lane.filter((_, at) => named.has(at)).map(({ index }) => ({ index, reason })), ...rest];
    }
    const half = Math.ceil(lane.length / 2);
    const first = await this.#append(kafka, partition, lane.slice(0, half), attempt);
    return [...first, ...(await this.#append(kafka, partition, lane.slice(half), attempt))];
  }

  /** Sends one batch, again where the connection breaks or the leader moved: under the same producer and numbers, which the broker knows. */
  async #produce(
    kafka: KafkaLibrary,
    partition: number,
    lane: readonly Placed[],
    { number, signal }: Attempt,
  ): Promise<{ readonly code: number; readonly culprits: readonly number[] }> {
    const { topic, encode, compression } = this.#options;
    let isSent = false;
    for (let tries = 1; ; tries++) {
      try {
        const broker = await this.#leader(kafka, partition, signal);
        this.#producer ??= await this.#newProducer(kafka, broker, signal);
        const records = lane.map(({ event }): MessageRecord => {
          const { entry, log } = event;
          return {
            topic,
            partition,
            key: Buffer.from(log),
            value: Buffer.from(encode(event)),
            timestamp: BigInt(Date.parse(entry.time)),
            headers: new Map([
              [Buffer.from('sallyport.id'), Buffer.from(entry.hash)],
              [Buffer.from('sallyport.log'), Buffer.from(log)],
              [Buffer.from('sallyport.seq'), Buffer.from(String(entry.seq))],
              // Above 1 this record may be there already, from a producer that was lost meanwhile.
              [Buffer.from('sallyport.attempt'), Buffer.from(String(number))],
            ]),
          };
        });
        const sequences = new kafka.NumericMap([[`${topic}:${partition}`, this.#sequences.get(partition) ?? 0]]);
        const api = broker.choose([kafka.produceV9, kafka.produceV7]);
        isSent = true;
        const options = { ...this.#producer, sequences, compression };
        const answer = await broker.ask(api, [ALL_REPLICAS, REPLICAS_TIMEOUT, records, options], signal);
        const of = answer.responses.find(({ name }) => name === topic)?.partitionResponses.find(({ index }) => index === partition);
        if (of === undefined) throw new DeliveryFailed('the answer does not speak of the partition');
        const { errorCode: code, recordErrors = [] } = of;
        const isFinal = code === 0 || code === DUPLICATE || REFUSED.has(code) || LOST_PRODUCER.has(code);
        if (isFinal || tries === TRIES) return { code, culprits: recordErrors.map(({ batchIndex }) => batchIndex) };
      } catch (error) {
        // Before anything was sent nothing is in doubt, and the exporter tries again in its own time.
        if (!isSent || tries === TRIES || signal.aborted) throw error;
      }
      // The producer and its numbers stay.
      this.#forget();
      await delay(50 * 2 ** tries, undefined, { signal });
    }
  }

  async #leader(kafka: KafkaLibrary, partition: number, signal: AbortSignal): Promise<KafkaBroker> {
    this.#leaders ??= await this.#findLeaders(kafka, signal);
    const leader = this.#leaders.get(partition);
    if (leader == null) throw new DeliveryFailed('Kafka LEADER_NOT_AVAILABLE');
    return await this.#connect(kafka, leader.host, leader.port, signal);
  }

  async #findLeaders(kafka: KafkaLibrary, signal: AbortSignal): Promise<Leaders> {
    const { topic } = this.#options;
    const broker = await this.#any(kafka, signal);
    // A topic that is not there is a wrong setting: it is not made.
    const { brokers, topics } = await broker.ask(broker.choose([kafka.metadataV9, kafka.metadataV7]), [[topic], false], signal);
    const of = topics.find(({ name }) => name === topic);
    if (of === undefined || of.errorCode !== 0) throw new DeliveryFailed(`Kafka ${errorName(kafka, of?.errorCode ?? 3)}`);
    if (of.partitions.length === 0) throw new DeliveryFailed('Kafka LEADER_NOT_AVAILABLE');
    const byId = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    return new Map(of.partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, byId.get(leaderId) ?? null]));
  }

  /** The first of the configured brokers that can be reached. */
  async #any(kafka: KafkaLibrary, signal: AbortSignal): Promise<KafkaBroker> {
    let failure: unknown = new DeliveryFailed('no broker is configured');
    for (const { hostname, port } of this.#options.brokers) {
      try {
        return await this.#connect(kafka, hostname, Number(port), signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** The addresses of leaders come from the cluster: the way out refuses those that the configuration does not name. */
  async #connect(kafka: KafkaLibrary, host: string, port: number, signal: AbortSignal): Promise<KafkaBroker> {
    const { egress, tls, credentials } = this.#options;
    const key = `${host}:${port}`;
    const present = this.#connections.get(key);
    if (present?.destroyed === false) return present;
    present?.destroy();
    try {
      const socket = await openSocket(egress, { hostname: host, port: String(port) }, tls, signal);
      const broker = await KafkaBroker.open(kafka, socket, credentials, signal);
      this.#connections.set(key, broker);
      return broker;
    } catch (error) {
      if (error instanceof EgressRefused)
        throw new DeliveryFailed('the cluster leads to a broker that is not configured (brokers)', { cause: error });
      throw error;
    }
  }

  async #newProducer(
    kafka: KafkaLibrary,
    broker: KafkaBroker,
    signal: AbortSignal,
  ): Promise<{ producerId: bigint; producerEpoch: number }> {
    const api = broker.choose([kafka.initProducerIdV3, kafka.initProducerIdV1]);
    const { errorCode, producerId, producerEpoch } = await broker.ask(api, [null, 0], signal);
    if (errorCode !== 0) throw new DeliveryFailed(`Kafka ${errorName(kafka, errorCode)}`);
    this.#sequences.clear();
    return { producerId, producerEpoch };
  }

  /** Asks anew who leads, over new connections. */
  #forget(): void {
    for (const broker of this.#connections.values()) broker.destroy();
    this.#connections.clear();
    this.#leaders = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget();
    if (this.#options.credentials?.mechanism === 'OAUTHBEARER') await this.#options.credentials.tokens[Symbol.asyncDispose]();
  }
}

/** The partition that Kafka's own clients give a record with this key: murmur2. */
function partitionOf(kafka: KafkaLibrary, log: string, partitions: readonly number[]): number {
  return partitions[(kafka.murmur2(Buffer.from(log)) & 0x7fffffff) % partitions.length] ?? 0;
}

/** Numbers start again at 0 after the largest. */
function after(sequence: number, records: number): number {
  return (sequence + records) % (LAST_SEQUENCE + 1);
}
