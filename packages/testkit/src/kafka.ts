import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { API_VERSIONS, INIT_PRODUCER_ID, MESSAGES, METADATA, type Message, SASL_AUTHENTICATE, SASL_HANDSHAKE } from './kafka-messages.ts';
import { type Compression, readBatch, type StoredRecord } from './kafka-records.ts';
import { type KafkaUser, Session } from './kafka-session.ts';
import { int, Reading, type Value, varint, written } from './kafka-wire.ts';

/*
 * A stand-in for a Kafka cluster. Messages are read and written by tables that restate the protocol's published descriptions. Nothing of
 * the library that the exporter uses is in it.
 */

/** What goes wrong with one produce request: it is lost, its answer is, it is answered with a code, or its leader moves first. */
export type KafkaTrouble = 'lost' | 'answer-lost' | 'moved' | { readonly code: number; readonly appended?: boolean };

export interface KafkaOptions {
  readonly brokers?: number;
  readonly partitions?: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  readonly user?: KafkaUser;
  /** Highest versions, by key, where they are not the newest. */
  readonly most?: Readonly<Record<number, number>>;
  readonly maxBatchBytes?: number;
  /** Whether the broker names the records it refuses (KIP-467). */
  readonly names?: boolean;
  /** Addresses the cluster says its brokers have, in place of their own. */
  readonly advertise?: (port: number) => { readonly host: string; readonly port: number };
}

const NEWEST: Readonly<Record<number, readonly [number, number]>> = {
  0: [3, 12],
  3: [0, 13],
  17: [0, 1],
  18: [0, 4],
  22: [0, 5],
  36: [0, 2],
};
export const TOPIC = 'audit';

/** Brokers on free ports of this machine that share one topic. */
export class KafkaStandIn implements AsyncDisposable {
  readonly #options: KafkaOptions;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** Node that leads, by partition. */
  readonly #leaders: number[];
  readonly logs: StoredRecord[][];
  /** Number of the next record, by partition, producer and epoch; null where it has not written yet. */
  readonly #producers = new Map<string, number>();
  readonly troubles: KafkaTrouble[] = [];
  readonly versions: Set<string> = new Set();
  readonly compressions: Set<Compression> = new Set();
  requests = 0;
  connections = 0;
  #producerId = 4000n;

  private constructor(options: KafkaOptions) {
    this.#options = options;
    const partitions = options.partitions ?? 1;
    this.#leaders = Array.from({ length: partitions }, (_, i) => i % (options.brokers ?? 1));
    this.logs = Array.from({ length: partitions }, () => []);
  }

  static async start(options: KafkaOptions = {}): Promise<KafkaStandIn> {
    const cluster = new KafkaStandIn(options);
    for (let node = 0; node < (options.brokers ?? 1); node++) {
      const accept = (socket: Socket): void => cluster.#serve(socket, node);
      const { tls } = options;
      const server =
        tls === undefined
          ? createServer(accept)
          : createTlsServer({ ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined }, accept);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      cluster.#servers.push(server);
    }
    return cluster;
  }

  get ports(): number[] {
    return this.#servers.map((server) => {
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    });
  }

  get records(): StoredRecord[] {
    return this.logs.flat();
  }

  /** Hashes that arrived, in the order of the first partition's log. */
  get received(): string[] {
    return this.records.map(({ headers }) => headers['sallyport.id'] ?? '');
  }

  #serve(socket: Socket, node: number): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    let rest = Buffer.alloc(0);
    const { user } = this.#options;
    const session = new Session(user);
    const lifetime = Number(user?.sessionLifetimeMs ?? 0n);
    const end = lifetime === 0 ? Number.POSITIVE_INFINITY : performance.now() + lifetime;
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const frame = rest.subarray(4, 4 + rest.readInt32BE(0));
        rest = rest.subarray(4 + frame.length);
        const answer = performance.now() > end ? null : this.#answer(frame, node, session);
        if (answer === null) return void socket.destroy();
        // In two pieces, cut anywhere: TCP has no frames.
        const cut = 1 + Math.floor(Math.random() * (answer.length - 1));
        socket.write(answer.subarray(0, cut));
        socket.write(answer.subarray(cut));
      }
    });
  }

  #answer(frame: Buffer, node: number, session: Session): Buffer | null {
    const reading = new Reading(frame);
    const [key, version, correlation] = [reading.int(2), reading.int(2), reading.int(4)];
    const message = MESSAGES.find((one) => one.key === key) ?? assert.fail(`API ${key}`);
    const [min, max] = NEWEST[key] ?? assert.fail();
    const most = this.#options.most?.[key] ?? max;
    // KIP-511: whoever asks for a version that the broker does not have gets version 0 of the answer, and the error.
    const isUnknown = version < min || version > most;
    if (isUnknown && key !== API_VERSIONS.key) return null;
    const clientId = reading.take(reading.int(2)).toString();
    assert.equal(clientId, 'sallyport');
    const flexible = version >= message.flexible;
    if (flexible) assert.equal(reading.varint(), 0);
    if (session.pending && ![API_VERSIONS.key, SASL_HANDSHAKE.key, SASL_AUTHENTICATE.key].includes(key)) return null;
    const request = isUnknown ? {} : reading.fields(message.request, version, flexible);
    if (!isUnknown) assert.equal(reading.at, frame.length, 'nothing follows a request');
    this.versions.add(`${key} v${version}`);
    const answer = isUnknown ? { errorCode: 35, apiKeys: [] } : this.#act(message, request, node, session);
    if (answer === null) return null;
    const at = isUnknown ? 0 : version;
    const body = written(message.response, answer, at, at >= message.flexible);
    const head = Buffer.concat([int(correlation, 4), at >= message.flexible && key !== API_VERSIONS.key ? varint(0) : Buffer.alloc(0)]);
    return Buffer.concat([int(head.length + body.length, 4), head, body]);
  }

  #act(message: Message, request: Value, node: number, session: Session): Value | null {
    switch (message) {
      case API_VERSIONS: {
        const apiKeys = Object.entries(NEWEST).map(([key, [min, max]]) => ({
          apiKey: Number(key),
          minVersion: min,
          maxVersion: this.#options.most?.[Number(key)] ?? max,
        }));
        return { errorCode: 0, apiKeys, throttleTimeMs: 0 };
      }
      case SASL_HANDSHAKE:
        return session.handshake(String(request['mechanism']));
      case SASL_AUTHENTICATE:
        return session.authenticate(request['authBytes'] as Buffer);
      case METADATA:
        return this.#metadata(request);
      case INIT_PRODUCER_ID:
        assert.equal(request['transactionalId'], null);
        return { throttleTimeMs: 0, errorCode: 0, producerId: this.#producerId++, producerEpoch: 0 };
      default:
        return this.#produce(request, node);
    }
  }

  #metadata(request: Value): Value {
    assert.equal(request['allowAutoTopicCreation'], false);
    const [asked] = request['topics'] as { name: string }[];
    const isKnown = asked?.name === TOPIC;
    const { advertise = (port: number) => ({ host: '127.0.0.1', port }) } = this.#options;
    return {
      throttleTimeMs: 0,
      brokers: this.ports.map((port, nodeId) => ({ nodeId, ...advertise(port), rack: null })),
      clusterId: 'stand-in',
      controllerId: 0,
      topics: [
        {
          errorCode: isKnown ? 0 : 3,
          name: asked?.name ?? '',
          isInternal: false,
          partitions: isKnown
            ? this.#leaders.map((leaderId, partitionIndex) => ({
                errorCode: 0,
                partitionIndex,
                leaderId,
                leaderEpoch: 7,
                replicaNodes: [0],
                isrNodes: [0],
                offlineReplicas: [],
              }))
            : [],
          topicAuthorizedOperations: -2147483648,
        },
      ],
      clusterAuthorizedOperations: -2147483648,
    };
  }

  #produce(request: Value, node: number): Value | null {
    this.requests++;
    assert.equal(request['acks'], -1, 'acks=all');
    const [topic] = request['topics'] as { name: string; partitions: { index: number; records: Buffer }[] }[];
    assert.equal(topic?.name, TOPIC);
    const [{ index, records } = assert.fail(), ...more] = topic?.partitions ?? [];
    assert.equal(more.length, 0);
    const trouble = this.troubles.shift() ?? null;
    if (trouble === 'lost') return null;
    if (trouble === 'moved') this.#leaders[index] = ((this.#leaders[index] ?? 0) + 1) % this.#servers.length;
    const forced = typeof trouble === 'object' && trouble !== null ? trouble : null;
    const isLeader = this.#leaders[index] === node;
    const result =
      forced !== null && forced.appended !== true ? { code: forced.code } : isLeader ? this.#append(index, records) : { code: 6 };
    if (trouble === 'answer-lost') return null;
    const partition = {
      index,
      errorCode: forced?.code ?? result.code,
      baseOffset: 0n,
      logAppendTimeMs: -1n,
      logStartOffset: 0n,
      recordErrors: (result.culprits ?? []).map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: 'text of the broker' })),
      errorMessage: null,
    };
    return { responses: [{ name: TOPIC, partitions: [partition] }], throttleTimeMs: 0 };
  }

  /** By the rules of an idempotent producer: a batch that was appended is answered as taken and not appended again, a gap is an error. */
  #append(index: number, bytes: Buffer): { readonly code: number; readonly culprits?: number[] } {
    if (bytes.length > (this.#options.maxBatchBytes ?? 1 << 20)) return { code: 10 };
    const { compression, producerId, epoch, sequence, records } = readBatch(bytes);
    this.compressions.add(compression);
    assert.ok(producerId >= 4000n && epoch === 0, 'an idempotent producer');
    const culprits = records.flatMap(({ value }, i) => (value.includes('"poison"') ? [i] : []));
    if (culprits.length > 0) return { code: 87, culprits: this.#options.names === false ? [] : culprits };
    const producer = `${index} ${producerId} ${epoch}`;
    const next = this.#producers.get(producer) ?? 0;
    if (sequence < next) return { code: sequence + records.length <= next ? 0 : 45 };
    if (sequence > next) return { code: 45 };
    this.#producers.set(producer, next + records.length);
    this.logs[index]?.push(...records);
    return { code: 0 };
  }

  /** Forgets all producers, as a broker does after their time. */
  forgetProducers(): void {
    this.#producers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
