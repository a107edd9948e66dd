import { crc32, deflateRawSync, gzipSync } from 'node:zlib';

/** A file that is made to cost time or memory: its name, and its bytes. */
export type Hostile = readonly [name: string, make: () => Buffer];

const MEBIBYTE = 2 ** 20;
const LARGE = 64 * MEBIBYTE;

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** `pattern` over and over between a head and a tail. */
function flood(head: string, pattern: string, tail: string = '', size: number = LARGE): Buffer {
  const count = Math.floor((size - head.length - tail.length) / pattern.length);
  return Buffer.concat([latin1(head), Buffer.alloc(count * pattern.length, latin1(pattern)), latin1(tail)]);
}

/** What `item` gives for each index, up to `size` bytes. */
function series(head: string, item: (index: number) => string, tail: string = '', size: number = LARGE): Buffer {
  const target = Buffer.alloc(size);
  let end = target.write(head, 0, 'latin1');
  for (let index = 0; ; index += 1) {
    const text = item(index);
    if (end + text.length + tail.length > size) break;
    end += target.write(text, end, 'latin1');
  }
  end += target.write(tail, end, 'latin1');
  return target.subarray(0, end);
}

function u16(value: number): string {
  return String.fromCharCode(value & 0xff, (value >>> 8) & 0xff);
}

function u32(value: number): string {
  return u16(value) + u16(value >>> 16);
}

function u64(value: number): string {
  return u32(value % 2 ** 32) + u32(Math.floor(value / 2 ** 32));
}

/** A stored or deflated archive of `count` members. */
function zip(count: number, content: Buffer, deflate: boolean = false): Buffer {
  const data = deflate ? deflateRawSync(content) : content;
  const fields = (flags: number): string =>
    `${u16(flags)}${u16(deflate ? 8 : 0)}${u32(0)}${u32(crc32(content))}${u32(data.length)}${u32(content.length)}${u16(8)}`;
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    const name = String(index).padStart(8, '0');
    parts.push(latin1(`PK\x03\x04${u16(20)}${fields(0)}${u16(0)}${name}`), data);
    central.push(latin1(`PK\x01\x02${u16(20)}${u16(20)}${fields(0)}${u16(0)}${u16(0)}${u16(0)}${u16(0)}${u32(0)}${u32(offset)}${name}`));
    offset += 38 + data.length;
  }
  const directory = Buffer.concat(central);
  const announced = Math.min(count, 0xffff);
  return Buffer.concat([
    ...parts,
    directory,
    latin1(`PK\x05\x06${u32(0)}${u16(announced)}${u16(announced)}${u32(directory.length)}${u32(offset)}${u16(0)}`),
  ]);
}

function tar(count: number, content: Buffer): Buffer {
  const block = Math.ceil(content.length / 512) * 512;
  const target = Buffer.alloc(count * (512 + block) + 1024);
  for (let index = 0; index < count; index += 1) {
    const header = target.subarray(index * (512 + block), index * (512 + block) + 512);
    header.write(`member${index}`);
    header.write('0000644\0', 100);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        0', 148);
    header.write('ustar\x0000', 257, 'latin1');
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    content.copy(target, index * (512 + block) + 512);
  }
  return target;
}

/** A protobuf field of bytes. */
function field(number: number, content: Buffer): Buffer {
  const head: number[] = [(number << 3) | 2];
  for (let left = content.length; ; left = Math.floor(left / 128)) {
    head.push(left < 128 ? left : (left % 128) + 128);
    if (left < 128) break;
  }
  return Buffer.concat([Buffer.from(head), content]);
}

function onnx(graph: Buffer): Buffer {
  return Buffer.concat([latin1('\x08\x08\x12\x03gen'), field(7, graph), latin1('\x42\x02\x10\x12')]);
}

function nested(depth: number, size: number): Buffer {
  let message: Buffer = flood('', '\x0a\x00', '', size);
  for (let level = 0; level < depth; level += 1) message = field(99 & 15, message);
  return message;
}

const P4 = '\x80\x04';
const HDF5 = `\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0${u64(0)}\xff\xff\xff\xff\xff\xff\xff\xff${u64(LARGE)}\xff\xff\xff\xff\xff\xff\xff\xff`;

/** One of each kind that is known to hurt some reader: many small instructions, shared parts, depth, length, and many of everything. */
export const HOSTILE: readonly Hostile[] = [
  ['pickle: values pushed and popped', () => flood(P4, 'N0', 'N.')],
  ['pickle: a list of small integers', () => flood(`${P4}]`, `(${'K\x01'.repeat(1000)}e`, '.')],
  ['pickle: values pushed', () => flood(P4, 'N', '.')],
  ['pickle: marks', () => flood(P4, '(', '.')],
  ['pickle: empty tuples popped', () => flood(P4, ')0', 'N.')],
  ['pickle: tuples of one', () => flood(P4, 'N\x850', 'N.')],
  ['pickle: tuples nested to the limit', () => flood(P4, `N${'\x85'.repeat(9000)}0`, 'N.')],
  ['pickle: lists of lists', () => flood(`${P4}]`, `(${']'.repeat(1000)}e`, '.')],
  ['pickle: appended lists', () => flood(`${P4}]`, ']a', '.')],
  ['pickle: memo of literals', () => flood(P4, 'N\x940', 'N.')],
  ['pickle: memo of objects', () => flood(P4, ')\x940', 'N.')],
  ['pickle: one memo entry written and read', () => flood(P4, 'Nq\x000h\x000', 'N.')],
  ['pickle: far memo indexes', () => series(P4, (index) => `Nr${u32(0x70000000 + index * 3)}0`, 'N.')],
  ['pickle: shared lists', () => flood(`${P4}(l\x940`, '(h\x00h\x00h\x00h\x00lq\x000', 'N.')],
  ['pickle: short words', () => flood(`${P4}]`, `(${'\x8c\x01a'.repeat(1000)}e`, '.')],
  ['pickle: numbers as lines', () => flood('(l', 'I1\na', '.')],
  ['pickle: words as lines', () => flood('(l', 'Va\na', '.')],
  ['pickle: one long line', () => flood('V', 'a', '\n.')],
  ['pickle: imports of one name', () => flood('', 'cos\nsystem\n0', 'N.')],
  ['pickle: imports of many names', () => series('', (index) => `ca${index}\nb\n0`, 'N.')],
  ['pickle: imports off the stack', () => flood(P4, '\x8c\x02os\x8c\x06system\x930', 'N.')],
  ['pickle: calls', () => flood(`${P4}\x8c\x02os\x8c\x06system\x93\x94`, 'h\x00)R0', 'N.')],
  [
    'pickle: calls with long arguments',
    () => flood(`${P4}\x8c\x02os\x8c\x06system\x93\x94`, `h\x00(${'V'.concat('a'.repeat(60), '\n').repeat(60)}tR0`, 'N.'),
  ],
  ['pickle: allowed calls', () => flood(`${P4}\x8c\x08builtins\x8c\x03set\x93\x94`, 'h\x00)R0', 'N.')],
  ['pickle: classes by OBJ', () => flood(P4, '(cos\nsystem\no0', 'N.')],
  ['pickle: persistent ids', () => flood(P4, 'NQ0', 'N.')],
  ['pickle: extension codes', () => flood(P4, '\x82\x010', 'N.')],
  ['pickle: state', () => flood(`${P4}\x8c\x08builtins\x8c\x03set\x93)R`, '}b', '.')],
  ['pickle: frames', () => flood(P4, '\x95\0\0\0\0\0\0\0\0', 'N.')],
  ['pickle: frames that are crossed', () => flood(P4, '\x95\x01\0\0\0\0\0\0\0K\x01', '.')],
  ['pickle: protocol markers', () => flood(P4, '\x80\x04', 'N.')],
  ['pickle: pickles in strings', () => flood(P4, `C\x08${P4}N0N0N.0`, 'N.')],
  ['pickle: short pickles in strings', () => flood(P4, `C\x04${P4}N.0`, 'N.')],
  ['pickle: pickles in text of Latin-1', () => flood(P4, '\x8c\x06\xc2\x80\x04N0.0', 'N.')],
  ['pickle: text that could be a pickle', () => flood(P4, 'C\x0ccos\nsystem\n)0', 'N.')],
  ['pickle: lines that could be pickles', () => flood('', "S'cos\\nsystem\\n)R.'\n0", 'N.')],
  [
    'pickle: a string in a string in a string',
    () => {
      let inner: Buffer = flood(P4, 'N0', 'N.', 10 * MEBIBYTE);
      for (let level = 0; level < 8; level += 1) inner = Buffer.concat([latin1(`${P4}B${u32(inner.length)}`), inner, latin1('.')]);
      return inner;
    },
  ],
  ['pickle: one stream after another', () => flood('', `${P4}N.`)],
  ['pickle: the shortest streams', () => flood('', 'N.')],
  ['pickle: broken, then protocol markers', () => flood(`${P4}\xff`, '\x80\x04N')],
  ['pickle: broken, then imports', () => flood(`${P4}\xff`, 'cos\nsystem\n')],
  ['pickle: broken, then letters and lines', () => flood(`${P4}\xff`, `${'c'.repeat(90)}\nx\n`)],
  [
    'pickle: arrays of joblib',
    () => flood(`${P4}\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93\x94`, 'h\x00)\x81}(\x8c\x05shape)ub0', 'N.'),
  ],
  ['data: protocol markers', () => flood('\xff\xfe\xfd', '\x80\x04K\x01')],
  ['data: pickles that never end', () => flood('\xff\xfe\xfd', `${P4}${'N'.repeat(2000)}`)],
  ['data: lines', () => flood('\xff\xfe\xfd', '\n')],
  ['data: imports', () => flood('\xff\xfe\xfd', 'cos\nsystem\n')],
  ['data: signatures of archives', () => flood('\xff\xfe\xfd', 'PK\x03\x04')],
  ['data: end records', () => flood('\xff\xfe\xfd', `PK\x05\x06${u32(0)}${u16(1)}${u16(1)}${u32(46)}${u32(0)}${u16(0)}`)],
  ['zip: members beyond the limit', () => zip(150_000, latin1('N.'))],
  ['zip: pickles', () => zip(90_000, latin1(`${P4}${'K\x01'.repeat(100)}.`))],
  ['zip: deflated members', () => zip(90_000, Buffer.alloc(500, 'abcdefg'), true)],
  [
    'zip: local headers in no directory',
    () => flood('PK\x03\x04', `PK\x03\x04${u16(20)}${u16(0)}${u16(0)}${u32(0)}${u32(0)}${u32(0)}${u32(0)}${u16(1)}${u16(0)}a`),
  ],
  ['zip: a member that expands', () => zip(3, Buffer.alloc(LARGE), true)],
  ['zip: members that expand a little', () => zip(2000, Buffer.alloc(2 * MEBIBYTE, 'abcdefghijklmnopqrst'), true)],
  ['tar: members', () => tar(95_000, Buffer.alloc(0))],
  ['tar: pickles', () => tar(60_000, latin1(`${P4}N.`))],
  ['gzip: streams one after another', () => Buffer.alloc(16 * MEBIBYTE, gzipSync(Buffer.alloc(0)))],
  ['gzip: of opcodes', () => gzipSync(flood(P4, 'N0K\x010)0', 'N.'), { level: 1 })],
  ['bzip2: blocks of nothing', () => flood('', 'BZh91AY&SY\0\0\0\0', '', 16 * MEBIBYTE)],
  ['zstd: skipped frames', () => flood('\x28\xb5\x2f\xfd\x20\0\x01\0\0', `\x50\x2a\x4d\x18${u32(0)}`, '', 32 * MEBIBYTE)],
  ['lz4: frames of nothing', () => flood('', `\x04\x22\x4d\x18\x40\x40\xc0${u32(0)}`, '', 32 * MEBIBYTE)],
  ['json: nesting', () => flood('', '[', '', LARGE)],
  ['json: values', () => flood('{"auto_map": [', '1,', '1]}', 15 * MEBIBYTE)],
  ['json: keys', () => series('{"auto_map": {', (index) => `"${index}":{},`, '"a":{}}}', 15 * MEBIBYTE)],
  ['json: strings with escapes', () => flood('{"auto_map": ["', '\\n', '"]}', 15 * MEBIBYTE)],
  ['json: values that name nothing', () => flood('[', '1,', '1]')],
  ['json: words that name nothing', () => flood('[', '"abcdef",', '1]')],
  ['json: lines', () => flood('', '{"auto_map":{}}\n', '', 15 * MEBIBYTE)],
  ['text: targets', () => flood('a: b\n', '_target_: os.system\n')],
  ['text: tags', () => flood('a: b\n', '- !!python/object:os.system x\n')],
  ['text: exclamation marks', () => flood('a: b\n', '!')],
  ['text: white space', () => flood('a: b\n', ' ')],
  ['text: braces', () => flood('a: b\n', '{')],
  ['text: template', () => flood('{% for m in messages %}', '{{ m }}', '{% endfor %}', 16 * MEBIBYTE)],
  ['python: imports', () => flood('import os\n', 'import os as a\n')],
  ['python: assignments', () => flood('import os\n', 'a = os.system\n')],
  ['python: calls', () => flood('import os\n', 'os.system("x")\n')],
  ['python: a function of lines', () => flood('import os\ndef f():\n', '  x = (1, 2)\n', '', 16 * MEBIBYTE)],
  ['python: lines that almost call', () => flood('import os\n', 'exec(aaaa\n')],
  ['python: open brackets', () => flood('import os\n', '(', '', 16 * MEBIBYTE)],
  ['xml: elements', () => flood('<?xml version="1.0"?><net>', '<layer version="extension"/>')],
  [
    'xml: entities',
    () => series('<?xml version="1.0"?><!DOCTYPE x [', (index) => `<!ENTITY a${index} "&a${index - 1};">`, ']>', 16 * MEBIBYTE),
  ],
  ['gguf: an array of empty strings', () => flood(`GGUF${u32(3)}${u64(0)}${u64(1)}${u64(1)}a${u32(9)}${u32(8)}${u64(8_000_000)}`, u64(0))],
  [
    'gguf: keys',
    () => series(`GGUF${u32(3)}${u64(0)}${u64(3_000_000)}`, (index) => `${u64(8)}${String(index).padStart(8, '0')}${u32(0)}\x01`),
  ],
  [
    'gguf: tensors',
    () =>
      series(
        `GGUF${u32(3)}${u64(1_500_000)}${u64(0)}`,
        (index) => `${u64(8)}${String(index).padStart(8, '0')}${u32(1)}${u64(0)}${u32(0)}${u64(0)}`,
      ),
  ],
  [
    'safetensors: tensors',
    () => {
      const header = series(
        '{',
        (index) => `"${index}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`,
        '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        15 * MEBIBYTE,
      );
      return Buffer.concat([latin1(u64(header.length)), header]);
    },
  ],
  [
    'safetensors: metadata',
    () => {
      const header = flood('{"__metadata__":{"a":"', 'b', '"}}', 15 * MEBIBYTE);
      return Buffer.concat([latin1(u64(header.length)), header]);
    },
  ],
  ['onnx: nodes', () => onnx(flood('', '\x0a\x0a\x0a\x01x\x12\x01y\x22\x02Ab', '', LARGE))],
  ['onnx: empty fields of a graph', () => onnx(flood('', '\x12\x00'))],
  ['onnx: empty fields of the model', () => Buffer.concat([onnx(latin1('\x12\x01g')), flood('', '\x12\x00')])],
  ['onnx: nested messages', () => onnx(nested(60, 16 * MEBIBYTE))],
  ['onnx: bytes that look like messages', () => onnx(field(6, flood('', '\x0a\x02\x0a\x00', '', LARGE)))],
  ['tensorflow: nodes', () => field(2, field(2, flood('', '\x0a\x06\x0a\x01x\x12\x01A', '', LARGE)))],
  ['hdf5: symbol tables', () => flood(HDF5, `SNOD\x01\0\xff\xff${'\0'.repeat(24)}`)],
  ['hdf5: object headers', () => flood(HDF5, `OHDR\x02\0\x10\x06\x10\0\0${'\x06\0\0\0'.repeat(3)}`)],
  ['hdf5: messages', () => flood(HDF5, `\x01\0\xff\xff\x01\0\0\0\xff\xff\xff\x0f`)],
  ['rds: lists', () => flood('X\n\0\0\0\x03\0\x04\x03\0\0\x02\x03\0', '\0\0\0\x13\0\0\0\x01')],
  ['rds: strings', () => flood('X\n\0\0\0\x03\0\x04\x03\0\0\x02\x03\0\0\0\0\x10\0\x7f\xff\xff', '\0\0\0\x09\0\0\0\0')],
  ['tflite: zeros', () => flood(`${u32(16)}TFL3`, u32(4))],
  ['7z: header', () => flood("7z\xbc\xaf'\x1c\0\x04", '\x01')],
  ['numpy: header', () => flood('\x93NUMPY\x02\0\xff\xff\xff\x03', '(', '', LARGE)],
  ['elf: zeros', () => flood('\x7fELF\x02\x01\x01', '\0')],
];
