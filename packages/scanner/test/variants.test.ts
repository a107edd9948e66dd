import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import * as w from './writers.ts';
import { bytes, PLAIN, pk, rulesOf, scanBytes, u32, u64 } from './writers.ts';

/**
 * Attacks put together from independent choices: what is called, how its name reaches the stack, how it is called, what stands around it,
 * where in the file it lies and what the file is wrapped in. Thousands of combinations exist; every run draws the same few hundred.
 */
class Draw {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  /** A number below `limit` (xorshift). */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }
  of<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    assert.ok(choice !== undefined);
    return choice;
  }
}

const CALLABLES: readonly string[] = [
  'os system',
  'nt popen',
  'posix execv',
  'subprocess check_output',
  'builtins eval',
  '__builtin__ execfile',
  'builtins __import__',
  'importlib import_module',
  'runpy run_path',
  'code InteractiveInterpreter',
  'pty spawn',
  'socket create_connection',
  'urllib.request urlretrieve',
  'shutil rmtree',
  'ctypes CDLL',
  'webbrowser open',
  'torch.hub load',
  'numpy load',
  'pandas read_pickle',
  'marshal loads',
  'cgitb html',
  'wave open',
  'mailcap findmatch',
  'gettext c2py',
  'uuid _find_mac_near_keyword',
  'typing _eval_type',
  'sklearn.datasets._base fetch_file',
  'joblib.externals.loky.backend.fork_exec fork_exec',
];

type Text = (value: string) => Buffer;
const TEXTS: readonly Text[] = [
  pk.text,
  (value) => bytes('X', u32(value.length), value),
  (value) => bytes(0x8d, u64(value.length), value),
  (value) => bytes('U', value.length, value),
  (value) => bytes('T', u32(value.length), value),
  (value) => bytes(`S'${value}'\n`),
  (value) => bytes(`S"\\x${value.charCodeAt(0).toString(16)}${value.slice(1)}"\n`),
  (value) => bytes(`V${value}\n`),
  (value) => bytes(`V\\u00${value.charCodeAt(0).toString(16)}${value.slice(1)}\n`),
];
/** Instructions that leave the stack as it was. */
const NOISE: readonly Buffer[] = [
  Buffer.alloc(0),
  bytes('N0'),
  bytes('(NK', 1, '1'),
  bytes(']0'),
  bytes('(0'),
  bytes('N20', '0'),
  bytes('(I1\nI2\nt0'),
  bytes('\x88\x89', '00'),
  bytes('G', Buffer.alloc(8), '0'),
];
type Import = (module: string, name: string, draw: Draw) => Buffer;
const IMPORTS: readonly Import[] = [
  (module, name) => pk.global(module, name),
  (module, name, draw) => bytes(draw.of(TEXTS)(module), draw.of(NOISE), draw.of(TEXTS)(name), draw.of(NOISE), 0x93),
  (module, name, draw) => bytes(draw.of(TEXTS)(name), 'q', 7, '0', draw.of(TEXTS)(module), draw.of(NOISE), 'h', 7, 0x93),
  (module, name, draw) => bytes(draw.of(TEXTS)(module), 'p99\n0N', 'r', u32(3), '0g99\n', draw.of(TEXTS)(name), 0x93),
  (module, name, draw) => bytes(draw.of(TEXTS)(module), draw.of(TEXTS)(name), '2', '0', 0x93),
  (module, name, draw) => bytes(draw.of(TEXTS)(module), 0x94, draw.of(TEXTS)(name), 0x93, 'q', 9, '0h', 9),
];
type Calling = (target: Buffer, module: string, name: string) => Buffer;
const CALLS: readonly Calling[] = [
  (target) => bytes(target, pk.text('x'), 0x85, 'R'),
  (target) => bytes(target, '(', pk.text('x'), 'tR'),
  (target) => bytes(target, pk.text('x'), 'N', 0x86, 'R'),
  (target) => bytes(target, ')R'),
  (target) => bytes('(', target, pk.text('x'), 'o'),
  (target) => bytes(target, pk.text('x'), 0x85, 0x81),
  (target) => bytes(target, ')}', 0x92),
  (_, module, name) => bytes(`(S'x'\ni${module}\n${name}\n`),
  (target) => bytes(target, '(', pk.text('x'), 'lR'),
];
type Around = (call: Buffer) => Buffer;
const AROUND: readonly Around[] = [
  (call) => call,
  (call) => bytes(call, '0N'),
  (call) => bytes('](K', 1, call, 'e'),
  (call) => bytes('}', pk.text('a'), call, 's'),
  (call) => bytes('}(', pk.text('a'), call, pk.text('b'), 'Nu'),
  (call) => bytes(call, 0x85, 0x85),
  (call) => bytes('(', call, '1N'),
  (call) => bytes(pk.call('collections', 'OrderedDict', 'a'), '0', call),
  (call) => bytes(0x8f, '(', call, 0x90),
  (call) => bytes('N', 'r', u32(200_000), '0', call),
];
type Stream = (body: Buffer, draw: Draw) => Buffer;
const STREAMS: readonly Stream[] = [
  (body, draw) => bytes(pk.proto(draw.of([2, 3, 4, 5])), body, '.'),
  (body) => bytes(body, '.'),
  (body) => bytes(pk.proto(4), pk.frame(bytes(body, '.'))),
  (body) => bytes(pk.proto(4), pk.frame(body), '.'),
  (body) => bytes(pk.proto(4), body),
  (body) => bytes(pk.proto(2), body, '\xff'),
  (body) => bytes(pk.proto(4), body, 'B\xff\xff\xff'),
  (body) => bytes(PLAIN, pk.proto(4), body, '.'),
  (body) => bytes(pk.proto(4), pk.bytes(bytes(pk.proto(2), body, '.')), '.'),
  // What reads through windows must see the same on both sides of their ends.
  (body, draw) => bytes(pk.proto(2), pk.bytes(Buffer.alloc(4096 - 7 - draw.below(80))), '0', body, '.'),
  (body, draw) => bytes(pk.proto(2), Buffer.alloc(4094 - 2 * draw.below(40), 'N0'), body, '.'),
  (body, draw) => bytes(pk.proto(2), pk.bytes(Buffer.alloc(2 ** 20 + 4096 - 2 * draw.below(40))), '0', body, '.'),
];
const WRAPPERS: readonly ((pickle: Buffer) => Buffer)[] = [
  (pickle) => pickle,
  gzipSync,
  deflateSync,
  zstdCompressSync,
  (pickle) => gzipSync(gzipSync(pickle)),
  (pickle) => w.torchZip(pickle),
  (pickle) => w.torchZip(PLAIN, [{ name: 'archive/constants.pkl', content: pickle }]),
  (pickle) => w.zip([{ name: 'README.md', content: pickle, deflate: true }]),
  (pickle) => w.zip([{ name: 'a.zip', content: w.zip([{ name: 'b', content: pickle, deflate: true }]) }], { prefix: bytes('#!/x\n') }),
  (pickle) => w.tar([{ name: 'weights.bin', content: pickle }]),
  (pickle) => gzipSync(w.tar([{ name: 'w', content: zstdCompressSync(pickle) }])),
  (pickle) => w.npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle),
  (pickle) => w.safetensors({ t: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }, bytes(0, pickle)),
];

describe('attacks put together from independent choices', () => {
  it('are all malicious', async () => {
    const draw = new Draw(20_261_127);
    for (let count = 0; count < 600; count += 1) {
      const [module = '', name = ''] = draw.of(CALLABLES).split(' ');
      const target = draw.of(IMPORTS)(module, name, draw);
      const body = draw.of(AROUND)(bytes(draw.of(NOISE), draw.of(CALLS)(target, module, name)));
      const file = draw.of(WRAPPERS)(draw.of(STREAMS)(body, draw));
      const report = await scanBytes(file);
      assert.equal(
        report.verdict,
        'malicious',
        `${count} ${module}.${name} ${report.format} ${rulesOf(report).join(' ')} ${file.subarray(0, 200).toString('latin1')}`,
      );
    }
  });
  it('and harmless calls put together the same way are not', async () => {
    const draw = new Draw(7);
    for (let count = 0; count < 200; count += 1) {
      const target = draw.of(IMPORTS.slice(0, 4))('collections', 'OrderedDict', draw);
      const body = draw.of(AROUND.slice(0, 6))(draw.of(CALLS.slice(0, 7))(target, '', ''));
      const report = await scanBytes(draw.of(WRAPPERS.slice(0, 8))(draw.of(STREAMS.slice(0, 2))(body, draw)));
      assert.equal(report.verdict, 'clean', `${count} ${rulesOf(report).join(' ')} ${body.toString('latin1')}`);
    }
  });
});
