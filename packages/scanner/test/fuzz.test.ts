import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { VERDICTS } from '../src/index.ts';
import { mutate, mutation } from './mutations.ts';
import * as w from './writers.ts';
import { bytes, EVIL, PLAIN, pk, scanBytes } from './writers.ts';

/** One sound file of each kind; the fuzzer breaks them. */
const SEEDS: ReadonlyMap<string, Buffer> = new Map([
  [
    'pickle',
    bytes(pk.proto(4), pk.frame(bytes('}(', pk.text('a'), pk.call('collections', 'OrderedDict'), pk.text('b'), pk.bytes(EVIL), 'u')), '.'),
  ],
  ['pickle of protocol 0', bytes("(dp0\nS'a'\np1\nI42\nsVb\\u0041\np2\ncposix\nsystem\np3\n(S'x'\ntRs.")],
  ['pytorch', w.torchZip(bytes(pk.proto(2), pk.call('torch', 'device'), '.'))],
  [
    'deflated zip',
    w.zip(
      [
        { name: 'a', content: PLAIN, deflate: true },
        { name: 'b/c', content: EVIL, deflate: true },
      ],
      { comment: Buffer.from('x') },
    ),
  ],
  [
    'tar',
    w.tar([
      { name: 'a', content: PLAIN },
      { name: 'b', link: 'a' },
    ]),
  ],
  ['gzip', gzipSync(PLAIN)],
  ['zlib', deflateSync(w.torchZip(PLAIN))],
  ['zstd', zstdCompressSync(PLAIN)],
  ['bzip2', Buffer.from('425a68393141592653596f8b19d600000ec600580000104000100004a0002200d034d0c9a34d0c020e2ee48a70a120df1633ac', 'hex')],
  ['xz', Buffer.from('/Td6WFoAAATm1rRGBMAfCyEBFgAAAAAAAAAAABLSzqoBAAqABF2UKEsBSwJlLgAAVNGiWO0I0hUAATsLaKVUqx+2830BAAAAAARZWg==', 'base64')],
  [
    '7z header',
    bytes(
      "7z\xbc\xaf'\x1c",
      0,
      4,
      Buffer.alloc(4),
      w.u64(0),
      w.u64(30),
      Buffer.alloc(4),
      Buffer.from('010406000109200007 0b0100012121011800'.replaceAll(' ', ''), 'hex'),
      Buffer.alloc(20),
    ),
  ],
  ['numpy', w.npy("{'descr': [('a','<f8'),('b','|O')], 'fortran_order': False, 'shape': (1,), }", PLAIN)],
  ['safetensors', w.safetensors({ __metadata__: { a: 'b' }, t: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, Buffer.alloc(8))],
  [
    'gguf',
    w.gguf(
      [
        ['general.architecture', 'llama'],
        ['t', ['a', 'b']],
        ['tokenizer.chat_template', "{% for m in messages %}{{ m['content'] }}{% endfor %}"],
      ],
      [{ name: 'x', dims: [8, 1], offset: 0 }],
      Buffer.alloc(32),
    ),
  ],
  ['keras', w.kerasLayer({ module: 'keras.layers', class_name: 'Dense', config: { units: 1 } })],
  [
    'hdf5',
    bytes(
      '\x89HDF\r\n\x1a\n',
      0,
      0,
      0,
      0,
      0,
      8,
      8,
      0,
      w.u16(4),
      w.u16(16),
      w.u32(0),
      w.u64(0),
      Buffer.alloc(8, 255),
      w.u64(800),
      Buffer.alloc(8, 255),
      w.u64(0),
      w.u64(96),
      w.u32(1),
      Buffer.alloc(20),
      1,
      0,
      w.u16(1),
      w.u32(1),
      w.u32(24),
      w.u32(0),
      w.u16(0x11),
      w.u16(16),
      w.u32(0),
      w.u64(136),
      w.u64(680),
      'TREE',
      0,
      0,
      w.u16(1),
      Buffer.alloc(600),
    ),
  ],
  [
    'onnx',
    w.onnx(
      bytes(
        w.onnxNode('If', '', w.field(5, bytes(w.field(1, 'b'), w.field(6, w.onnxNode('Relu'))))),
        w.field(2, 'g'),
        w.field(5, w.onnxExternal('w.bin')),
      ),
    ),
  ],
  ['saved model', w.savedModel('Const', 'MatMul')],
  [
    'tflite',
    bytes(
      w.u32(16),
      'TFL3',
      Buffer.from(
        '00000a000c00000004000800080000000800000004000000010000000c00000008000c000400080008000000080000000400000003000000466f6f00',
        'hex',
      ),
    ),
  ],
  ['json', bytes(JSON.stringify({ auto_map: { a: 'b.c' }, chat_template: [{ name: 'x', template: '{{ a }}' }], weight_map: { a: 'b' } }))],
  ['xml', bytes('<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "b">]><PMML>&a;</PMML>')],
  ['text', bytes('model:\n  _target_: nemo.x.Y\n')],
  ['elf', bytes('\x7fELF\x02\x01\x01', Buffer.alloc(64), 'GGUF', w.u32(3))],
]);

describe('no mutation of any file makes the scanner throw, run on, or forget its verdict', () => {
  for (const [name, seed] of SEEDS) {
    it(name, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 6 }), async (mutations) => {
          const report = await scanBytes(mutate(seed, mutations), 'file', { time: 5_000 });
          assert.ok(VERDICTS.includes(report.verdict));
          assert.ok(!report.findings.some(({ rule }) => rule === 'limit-time'));
          if (report.verdict === 'clean') assert.ok(report.findings.every(({ severity }) => severity === 'info'));
        }),
        { numRuns: 150 },
      );
    });
  }
  it('bytes of any kind, and any file followed by a dangerous pickle', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (raw) => {
        const noise = Buffer.from(raw);
        assert.ok(VERDICTS.includes((await scanBytes(noise)).verdict));
        const report = await scanBytes(bytes(PLAIN, noise, EVIL));
        assert.notEqual(report.verdict, 'clean', noise.toString('hex'));
      }),
      { numRuns: 300 },
    );
  });
});
