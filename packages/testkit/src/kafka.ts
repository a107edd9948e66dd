import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

/*
 * A stand-in for a Kafka cluster. Messages are read and written by the tables below, which restate the protocol's published message
 * descriptions (apache/kafka, clients/src/main/resources/common/message/*.json, versions up to 4.x; flexible versions: KIP-482; records:
 * the documentation's "Record Batch"). Nothing of the library that the exporter uses is in it.
 */
type Type = 'int16' | 'int32' | 'int64' | 'bool' | 'string' | 'bytes' | '[]int32' | '[]string' | readonly Field[];
interface Field {
  readonly name: string;
  readonly type: Type;
  /** First version that has it. */
  readonly from?: number;
}
interface Message {
  readonly key: number;
  /** First flexible version. */
  readonly flexible: number;
  readonly request: readonly Field[];
  readonly response: readonly Field[];
}

const field = (name: string, type: Type, from = 0): Field => ({ name, type, from });

const PRODUCE: Message = {
  key: 0,
  flexible: 9,
  request: [
    field('transactionalId', 'string', 3),
    field('acks', 'int16'),
    field('timeoutMs', 'int32'),
    field('topics', [field('name', 'string'), field('partitions', [field('index', 'int32'), field('records', 'bytes')])]),
  ],
  response: [
    field('responses', [
      field('name', 'string'),
      field('partitions', [
        field('index', 'int32'),
        field('errorCode', 'int16'),
        field('baseOffset', 'int64'),
        field('logAppendTimeMs', 'int64', 2),
        field('logStartOffset', 'int64', 5),
        field('recordErrors', [field('batchIndex', 'int32'), field('batchIndexErrorMessage', 'string')], 8),
        field('errorMessage', 'string', 8),
      ]),
    ]),
    field('throttleTimeMs', 'int32', 1),
  ],
};
const METADATA: Message = {
  key: 3,
  flexible: 9,
  request: [
    field('topics', [field('name', 'string')]),
    field('allowAutoTopicCreation', 'bool', 4),
    field('includeClusterAuthorizedOperations', 'bool', 8),
    field('includeTopicAuthorizedOperations', 'bool', 8),
  ],
  response: [
    field('throttleTimeMs', 'int32', 3),
    field('brokers', [field('nodeId', 'int32'), field('host', 'string'), field('port', 'int32'), field('rack', 'string', 1)]),
    field('clusterId', 'string', 2),
    field('controllerId', 'int32', 1),
    field('topics', [
      field('errorCode', 'int16'),
      field('name', 'string'),
      field('isInternal', 'bool', 1),
      field('partitions', [
        field('errorCode', 'int16'),
        field('partitionIndex', 'int32'),
        field('leaderId', 'int32'),
        field('leaderEpoch', 'int32', 7),
        field('replicaNodes', '[]int32'),
        field('isrNodes', '[]int32'),
        field('offlineReplicas', '[]int32', 5),
      ]),
      field('topicAuthorizedOperations', 'int32', 8),
    ]),
    field('clusterAuthorizedOperations', 'int32', 8),
  ],
};
const SASL_HANDSHAKE: Message = {
  key: 17,
  flexible: 99,
  request: [field('mechanism', 'string')],
  response: [field('errorCode', 'int16'), field('mechanisms', '[]string')],
};
const API_VERSIONS: Message = {
  key: 18,
  flexible: 3,
  request: [field('clientSoftwareName', 'string', 3), field('clientSoftwareVersion', 'string', 3)],
  response: [
    field('errorCode', 'int16'),
    field('apiKeys', [field('apiKey', 'int16'), field('minVersion', 'int16'), field('maxVersion', 'int16')]),
    field('throttleTimeMs', 'int32', 1),
  ],
};
const INIT_PRODUCER_ID: Message = {
  key: 22,
  flexible: 2,
  request: [
    field('transactionalId', 'string'),
    field('transactionTimeoutMs', 'int32'),
    field('producerId', 'int64', 3),
    field('producerEpoch', 'int16', 3),
  ],
  response: [field('throttleTimeMs', 'int32'), field('errorCode', 'int16'), field('producerId', 'int64'), field('producerEpoch', 'int16')],
};
const SASL_AUTHENTICATE: Message = {
  key: 36,
  flexible: 2,
  request: [field('authBytes', 'bytes')],
  response: [
    field('errorCode', 'int16'),
    field('errorMessage', 'string'),
    field('authBytes', 'bytes'),
    field('sessionLifetimeMs', 'int64', 1),
  ],
};
const MESSAGES = [PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE];

type Value = Record<string, unknown>;

class Reading {
  readonly bytes: Buffer;
  at: number;
  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  int(size: 1 | 2 | 4): number {
    this.at += size;
    return this.bytes.readIntBE(this.at - size, size);
  }
  int64(): bigint {
    this.at += 8;
    return this.bytes.readBigInt64BE(this.at - 8);
  }
  /** Unsigned LEB128. */
  varint(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.bytes[this.at++] ?? assert.fail('cut');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }
  /** Zigzag. */
  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  take(length: number): Buffer {
    assert.ok(length >= 0 && this.at + length <= this.bytes.length, 'cut');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  fields(list: readonly Field[], version: number, flexible: boolean): Value {
    const value: Value = {};
    for (const { name, type, from = 0 } of list) if (version >= from) value[name] = this.#value(type, version, flexible);
    if (flexible) assert.equal(this.varint(), 0, 'no tagged field is known');
    return value;
  }
  #value(type: Type, version: number, flexible: boolean): unknown {
    const length = (short: 2 | 4): number => (flexible ? this.varint() - 1 : this.int(short));
    if (typeof type !== 'string') return Array.from({ length: length(4) }, () => this.fields(type, version, flexible));
    switch (type) {
      case 'int16':
        return this.int(2);
      case 'int32':
        return this.int(4);
      case 'int64':
        return this.int64();
      case 'bool':
        return this.int(1) !== 0;
      case 'string':
      case 'bytes': {
        const size = length(type === 'string' ? 2 : 4);
        if (size < 0) return null;
        return type === 'string' ? this.take(size).toString() : this.take(size);
      }
      default:
        return assert.fail(type);
    }
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) return Buffer.from(bytes);
  }
}

function int(value: number, size: 1 | 2 | 4): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeIntBE(value, 0, size);
  return bytes;
}

function written(list: readonly Field[], value: Value, version: number, flexible: boolean): Buffer {
  const length = (size: number, short: 2 | 4): Buffer => (flexible ? varint(size + 1) : int(size, short));
  const one = (type: Type, item: unknown): Buffer => {
    if (typeof type !== 'string') {
      const items = item as readonly Value[];
      return Buffer.concat([length(items.length, 4), ...items.map((each) => written(type, each, version, flexible))]);
    }
    switch (type) {
      case 'int16':
        return int(Number(item), 2);
      case 'int32':
        return int(Number(item), 4);
      case 'int64': {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64BE(BigInt(item as bigint));
        return bytes;
      }
      case 'bool':
        return int(item === true ? 1 : 0, 1);
      case 'string':
      case 'bytes': {
        if (item === null) return length(-1, type === 'string' ? 2 : 4);
        const bytes = Buffer.from(item as string);
        return Buffer.concat([length(bytes.length, type === 'string' ? 2 : 4), bytes]);
      }
      default: {
        const items = item as readonly unknown[];
        return Buffer.concat([length(items.length, 4), ...items.map((each) => one(type === '[]int32' ? 'int32' : 'string', each))]);
      }
    }
  };
  const parts = list.filter(({ from = 0 }) => version >= from).map(({ name, type }) => one(type, value[name]));
  return Buffer.concat(flexible ? [...parts, varint(0)] : parts);
}

/** CRC-32C (Castagnoli), bit by bit. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export interface StoredRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface RecordBatch {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
  readonly records: readonly StoredRecord[];
}

function readBatch(bytes: Buffer): RecordBatch {
  const reading = new Reading(bytes);
  assert.equal(reading.int64(), 0n, 'a producer writes base offset 0');
  assert.equal(reading.int(4), bytes.length - 12, 'one batch, of the length it says');
  reading.int(4);
  assert.equal(reading.int(1), 2, 'magic');
  assert.equal(reading.int(4) >>> 0, crc32c(bytes.subarray(21)), 'checksum');
  assert.equal(reading.int(2), 0, 'not compressed, create time');
  const last = reading.int(4);
  const [first, most] = [reading.int64(), reading.int64()];
  assert.ok(first > 0n && most >= first, 'timestamps');
  const [producerId, epoch, sequence, count] = [reading.int64(), reading.int(2), reading.int(4), reading.int(4)];
  assert.equal(last, count - 1);
  const records = Array.from({ length: count }, (_, i) => {
    const end = reading.signed() + reading.at;
    assert.equal(reading.int(1), 0);
    reading.signed();
    assert.equal(reading.signed(), i, 'offsets follow one another');
    const key = reading.take(reading.signed()).toString();
    const value = reading.take(reading.signed()).toString();
    const headers = Object.fromEntries(
      Array.from({ length: reading.signed() }, () => [
        reading.take(reading.signed()).toString(),
        reading.take(reading.signed()).toString(),
      ]),
    );
    assert.equal(reading.at, end);
    return { key, value, headers };
  });
  assert.equal(reading.at, bytes.length);
  return { producerId, epoch, sequence, records };
}

/** What goes wrong with one produce request: it is lost, its answer is, it is answered with a code, or its leader moves first. */
export type KafkaTrouble = 'lost' | 'answer-lost' | 'moved' | { readonly code: number; readonly appended?: boolean };

export interface KafkaOptions {
  readonly brokers?: number;
  readonly partitions?: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  readonly user?: { readonly mechanism: string; readonly name: string; readonly password: string };
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
    const session = new Session(this.#options.user);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const frame = rest.subarray(4, 4 + rest.readInt32BE(0));
        rest = rest.subarray(4 + frame.length);
        const answer = this.#answer(frame, node, session);
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
    const { producerId, epoch, sequence, records } = readBatch(bytes);
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

/** One connection's authentication: SASL PLAIN (RFC 4616) and SCRAM (RFC 5802). */
class Session {
  readonly #user: KafkaOptions['user'];
  #step: 'none' | 'begun' | 'proof' | 'done';
  #first = '';
  #challenge = '';
  readonly #salt = randomBytes(12);

  constructor(user: KafkaOptions['user']) {
    this.#user = user;
    this.#step = user === undefined ? 'done' : 'none';
  }

  get pending(): boolean {
    return this.#step !== 'done';
  }

  handshake(mechanism: string): Value {
    const known = this.#user?.mechanism ?? '';
    if (mechanism !== known) return { errorCode: 33, mechanisms: [known] };
    this.#step = 'begun';
    return { errorCode: 0, mechanisms: [known] };
  }

  authenticate(bytes: Buffer): Value {
    const { mechanism, name, password } = this.#user ?? assert.fail('not asked for');
    const answer = (text: string): Value => ({ errorCode: 0, errorMessage: null, authBytes: Buffer.from(text), sessionLifetimeMs: 0n });
    const no: Value = { errorCode: 58, errorMessage: 'text of the broker', authBytes: Buffer.alloc(0), sessionLifetimeMs: 0n };
    if (mechanism === 'PLAIN') {
      if (bytes.toString() !== `\0${name}\0${password}`) return no;
      this.#step = 'done';
      return answer('');
    }
    const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
    if (this.#step === 'begun') {
      const [, bare = '', user, nonce] = /^n,,(n=([^,]+),r=(.+))$/.exec(bytes.toString()) ?? [];
      if (user !== name) return no;
      this.#first = bare;
      this.#challenge = `r=${nonce}server,s=${this.#salt.toString('base64')},i=4096`;
      this.#step = 'proof';
      return answer(this.#challenge);
    }
    const [, bare = '', proof = ''] = /^(.+),p=(.+)$/.exec(bytes.toString()) ?? [];
    const salted = pbkdf2Sync(password, this.#salt, 4096, hash === 'sha256' ? 32 : 64, hash);
    const clientKey = createHmac(hash, salted).update('Client Key').digest();
    const authentication = `${this.#first},${this.#challenge},${bare}`;
    const signature = createHmac(hash, createHash(hash).update(clientKey).digest()).update(authentication).digest();
    if (
      Buffer.compare(
        clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)),
        Buffer.from(proof, 'base64'),
      ) !== 0
    )
      return no;
    this.#step = 'done';
    const serverKey = createHmac(hash, salted).update('Server Key').digest();
    return answer(`v=${createHmac(hash, serverKey).update(authentication).digest('base64')}`);
  }
}
