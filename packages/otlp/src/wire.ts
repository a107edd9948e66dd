import type { OtlpProtocol } from '@sallyport/core';
import { Reader, Writer } from 'protobufjs/minimal.js';
import { type Field, type Message, REQUESTS } from './messages.ts';

export type OtlpSignal = 'logs' | 'traces' | 'metrics';

export interface OtlpAnswer {
  /** Records the receiver has not taken (`partialSuccess`). */
  readonly rejected: number;
}

/**
 * Requests of OTLP/HTTP (opentelemetry.io/docs/specs/otlp) in one of its two encodings. What is sent is put together as OTLP/JSON has it:
 * ids in hexadecimal, 64-bit numbers as texts.
 */
export class OtlpWire {
  readonly contentType: 'application/json' | 'application/x-protobuf';
  readonly #protobuf: boolean;

  constructor(protocol: OtlpProtocol) {
    this.#protobuf = protocol === 'http/protobuf';
    this.contentType = this.#protobuf ? 'application/x-protobuf' : 'application/json';
  }

  /** @throws {TypeError} for a field that the tables do not have */
  encode(signal: OtlpSignal, request: object): string | Uint8Array {
    if (!this.#protobuf) return JSON.stringify(request);
    const writer = Writer.create();
    write(writer, REQUESTS[signal], request);
    return writer.finish();
  }

  /** Reads the answer to a request that was taken. It comes from a stranger: what is not as specified rejects nothing. */
  answer(body: Uint8Array): OtlpAnswer {
    const count = this.#protobuf ? readRejected(body) : rejectedOf(body);
    return { rejected: Number.isFinite(count) && count > 0 ? count : 0 };
  }
}

const LENGTH_DELIMITED = 2;
const FIXED64 = 1;
const VARINT = 0;

function write(writer: Writer, message: Message, value: object): void {
  for (const [name, item] of Object.entries(value)) {
    const field = message[name];
    if (field === undefined) throw new TypeError(`OTLP has no field ${name} here`);
    if (field.repeated !== true) writeField(writer, field, item);
    else if (field.type === 'fixed64' || field.type === 'double') writePacked(writer, field, item);
    else for (const each of item) writeField(writer, field, each);
  }
}

function writeField(writer: Writer, { number, type }: Field, value: unknown): void {
  const tag = (wireType: number): Writer => writer.uint32((number << 3) | wireType);
  if (typeof type !== 'string') {
    write(tag(LENGTH_DELIMITED).fork(), type, value as object);
    writer.ldelim();
    return;
  }
  switch (type) {
    case 'string':
      tag(LENGTH_DELIMITED).string(String(value));
      break;
    case 'hex':
      tag(LENGTH_DELIMITED).bytes(Buffer.from(String(value), 'hex'));
      break;
    case 'bool':
      tag(VARINT).bool(value === true);
      break;
    case 'int64':
      tag(VARINT).int64(String(value));
      break;
    case 'enum':
      tag(VARINT).int32(Number(value));
      break;
    default:
      writeNumber(tag(FIXED64), type, value);
  }
}

/** Repeated numbers have one tag (proto3). */
function writePacked(writer: Writer, { number, type }: Field, values: Iterable<unknown>): void {
  writer.uint32((number << 3) | LENGTH_DELIMITED).fork();
  for (const value of values) writeNumber(writer, type, value);
  writer.ldelim();
}

function writeNumber(writer: Writer, type: Field['type'], value: unknown): void {
  if (type === 'double') writer.double(Number(value));
  else writer.fixed64(String(value));
}

/** `partialSuccess.rejectedLogRecords`, `rejectedSpans` or `rejectedDataPoints`: field 1 of field 1, an int64. */
function readRejected(body: Uint8Array): number {
  try {
    const answer = Reader.create(body);
    let count = 0;
    while (answer.pos < answer.len) {
      const tag = answer.uint32();
      if (tag !== ((1 << 3) | LENGTH_DELIMITED)) answer.skipType(tag & 7);
      else {
        const partial = Reader.create(answer.bytes());
        while (partial.pos < partial.len) {
          const inner = partial.uint32();
          if (inner === ((1 << 3) | VARINT)) count = Number(partial.int64());
          else partial.skipType(inner & 7);
        }
      }
    }
    return count;
  } catch {
    return 0;
  }
}

const REJECTED = ['rejectedLogRecords', 'rejectedSpans', 'rejectedDataPoints'];

function rejectedOf(body: Uint8Array): number {
  try {
    const { partialSuccess = {} } = JSON.parse(Buffer.from(body).toString());
    return Number(REJECTED.map((name) => partialSuccess[name]).find((count) => count !== undefined) ?? 0);
  } catch {
    return 0;
  }
}
