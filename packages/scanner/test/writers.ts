import { crc32, deflateRawSync } from 'node:zlib';
import { bufferSource, type FileReport, type Limits, scanFile } from '../src/index.ts';

/** Scans bytes a test wrote. */
export function scanBytes(bytes: Buffer, path: string = 'file', limits: Partial<Limits> = {}): Promise<FileReport> {
  return scanFile(bufferSource(bytes), { path, hash: false, limits });
}

export function rulesOf({ findings }: FileReport): string[] {
  return [...new Set(findings.map(({ rule }) => rule))].sort();
}

/** Bytes out of strings (Latin-1), numbers (one byte each) and buffers. */
export function bytes(...parts: readonly (string | number | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : typeof part === 'number' ? Buffer.from([part]) : part)),
  );
}

export function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16LE(value);
  return buffer;
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
}

export function u64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

/** Instructions of a pickle, for tests that write one out. */
export const pk = {
  proto: (version: number): Buffer => bytes(0x80, version),
  text: (text: string): Buffer => bytes(0x8c, Buffer.byteLength(text), Buffer.from(text)),
  bytes: (content: Buffer): Buffer => bytes('B', u32(content.length), content),
  global: (module: string, name: string): Buffer => bytes(`c${module}\n${name}\n`),
  stackGlobal: (module: string, name: string): Buffer => bytes(pk.text(module), pk.text(name), 0x93),
  /** `module.name(text)` by STACK_GLOBAL and REDUCE. */
  call: (module: string, name: string, text: string = 'echo INERT'): Buffer =>
    bytes(pk.stackGlobal(module, name), pk.text(text), 0x85, 'R'),
  frame: (content: Buffer): Buffer => bytes(0x95, u64(content.length), content),
};

/** A whole protocol 4 pickle that calls `module.name(text)`. */
export function callPickle(module: string, name: string, text?: string): Buffer {
  return bytes(pk.proto(4), pk.call(module, name, text), '.');
}

export const EVIL: Buffer = callPickle('posix', 'system');
/** `[1, 2]` */
export const PLAIN: Buffer = bytes(pk.proto(4), ']', 0x94, '(K', 1, 'K', 2, 'e.');

export interface ZipMember {
  readonly name: string;
  readonly content: Buffer;
  readonly deflate?: boolean;
  readonly flags?: number;
  readonly localName?: string;
  readonly crc?: number;
  readonly localCrc?: number;
  readonly mode?: number;
  readonly signature?: string;
}

/** A zip archive; what the two directories say can be made to differ. */
export function zip(members: readonly ZipMember[], options: { readonly comment?: Buffer; readonly prefix?: Buffer } = {}): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const member of members) {
    const data = member.deflate === true ? deflateRawSync(member.content) : member.content;
    const method = u16(member.deflate === true ? 8 : 0);
    const flags = u16(member.flags ?? 0);
    const crc = member.crc ?? crc32(member.content);
    const sizes = bytes(u32(data.length), u32(member.content.length));
    const name = Buffer.from(member.name);
    const localName = Buffer.from(member.localName ?? member.name);
    const local = bytes(
      member.signature ?? 'PK\x03\x04',
      u16(20),
      flags,
      method,
      u32(0),
      u32(member.localCrc ?? crc),
      sizes,
      u16(localName.length),
      u16(0),
      localName,
      data,
    );
    centrals.push(
      bytes(
        'PK\x01\x02',
        u16(0x0314),
        u16(20),
        flags,
        method,
        u32(0),
        u32(crc),
        sizes,
        u16(name.length),
        u16(0),
        u16(0),
        u16(0),
        u16(0),
        u32((member.mode ?? 0o100644) << 16),
        u32(offset),
        name,
      ),
    );
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const comment = options.comment ?? Buffer.alloc(0);
  return bytes(
    options.prefix ?? '',
    ...locals,
    directory,
    bytes('PK\x05\x06', u32(0), u16(members.length), u16(members.length), u32(directory.length), u32(offset), u16(comment.length), comment),
  );
}

/** The layout of `torch.save`. */
export function torchZip(pickle: Buffer, extra: readonly ZipMember[] = []): Buffer {
  return zip([
    { name: 'archive/data.pkl', content: pickle },
    { name: 'archive/data/0', content: Buffer.alloc(16) },
    { name: 'archive/version', content: bytes('3\n') },
    ...extra,
  ]);
}

/** A POSIX tar archive. `link` makes the member a symbolic link. */
export function tar(members: readonly { readonly name: string; readonly content?: Buffer; readonly link?: string }[]): Buffer {
  const blocks = members.map(({ name, content = Buffer.alloc(0), link }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 'latin1');
    header.write('0000644\0', 100);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(link === undefined ? '0' : '2', 156);
    header.write(link ?? '', 157, 'latin1');
    header.write('ustar\x0000', 257, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return bytes(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  });
  return bytes(...blocks, Buffer.alloc(1024));
}

export function npy(header: string, content: Buffer): Buffer {
  const padded = header.padEnd(118 - 1, ' ');
  return bytes('\x93NUMPY', 1, 0, u16(padded.length + 1), padded, '\n', content);
}

export function safetensors(header: string | Record<string, unknown>, data: Buffer): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return bytes(u64(text.length), text, data);
}

const text = (value: string): Buffer => bytes(u64(Buffer.byteLength(value)), Buffer.from(value));
export type GgufValue = string | readonly string[] | { readonly type: number; readonly raw: Buffer };
export interface GgufTensor {
  readonly name: string;
  readonly dims: readonly (number | bigint)[];
  readonly type?: number;
  readonly offset: number;
}

/** A GGUF file of version 3. Keys may stand twice. */
export function gguf(
  keys: readonly (readonly [string, GgufValue])[],
  tensors: readonly GgufTensor[] = [],
  data: Buffer = Buffer.alloc(0),
): Buffer {
  const head = bytes(
    'GGUF',
    u32(3),
    u64(tensors.length),
    u64(keys.length),
    ...keys.map(([key, value]) => {
      if (typeof value === 'string') return bytes(text(key), u32(8), text(value));
      if ('raw' in value) return bytes(text(key), u32(value.type), value.raw);
      return bytes(text(key), u32(9), u32(8), u64(value.length), Buffer.concat(value.map(text)));
    }),
    ...tensors.map(({ name, dims, type = 0, offset }) =>
      bytes(text(name), u32(dims.length), ...dims.map((size) => u64(size)), u32(type), u64(offset)),
    ),
  );
  return tensors.length === 0 ? head : bytes(head, Buffer.alloc((32 - (head.length % 32)) % 32), data);
}

/** A length-delimited protobuf field. */
export function field(number: number, content: Buffer | string): Buffer {
  const value = typeof content === 'string' ? Buffer.from(content) : content;
  return bytes(varint((number << 3) | 2), varint(value.length), value);
}

export function number(field: number, value: number): Buffer {
  return bytes(varint(field << 3), varint(value));
}

function varint(value: number): Buffer {
  const parts: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) {
      parts.push(left);
      return Buffer.from(parts);
    }
    parts.push((left % 128) + 128);
  }
}

export function onnx(graph: Buffer): Buffer {
  return bytes(number(1, 8), field(2, 'gen'), field(7, graph), field(8, number(2, 18)));
}

export function onnxNode(operator: string, domain: string = '', extra: Buffer = Buffer.alloc(0)): Buffer {
  return field(1, bytes(field(1, 'x'), field(2, 'y'), field(4, operator), domain === '' ? '' : field(7, domain), extra));
}

/** A TensorProto whose data is elsewhere. */
export function onnxExternal(location: string): Buffer {
  return bytes(number(2, 1), field(8, 'w'), field(13, bytes(field(1, 'location'), field(2, location))), number(14, 1));
}

export function savedModel(...operations: readonly string[]): Buffer {
  const graph = bytes(...operations.map((operation) => field(1, bytes(field(1, 'n'), field(2, operation)))));
  return bytes(number(1, 1), field(2, field(2, graph)));
}

export function keras(config: unknown): Buffer {
  const content = Buffer.from(JSON.stringify(config));
  return zip([
    { name: 'metadata.json', content: bytes('{"keras_version":"3.4.0"}') },
    { name: 'config.json', content },
    { name: 'model.weights.h5', content: Buffer.alloc(0) },
  ]);
}

export function kerasLayer(layer: unknown): Buffer {
  return keras({ module: 'keras', class_name: 'Sequential', config: { name: 's', layers: [layer] }, registered_name: null });
}
