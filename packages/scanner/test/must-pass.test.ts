import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import * as w from './writers.ts';
import { bytes, PLAIN, pk, scanBytes, u32 } from './writers.ts';

async function clean(file: Buffer, format?: string): Promise<void> {
  const report = await scanBytes(file);
  assert.equal(report.verdict, 'clean', JSON.stringify(report.findings));
  if (format !== undefined) assert.equal(report.format, format);
}

/** A tensor as `torch.save` pickles it: `_rebuild_tensor_v2(storage, 0, (2,), (1,), False, OrderedDict())`. */
const STORAGE = bytes('(', pk.text('storage'), pk.global('torch', 'FloatStorage'), pk.text('0'), pk.text('cpu'), 'K', 2, 'tQ');
const TENSOR = bytes(
  pk.global('torch._utils', '_rebuild_tensor_v2'),
  '(',
  STORAGE,
  'K',
  0,
  'K',
  2,
  0x85,
  'K',
  1,
  0x85,
  0x89,
  pk.global('collections', 'OrderedDict'),
  ')RtR',
);
const STATE = bytes(pk.proto(2), pk.global('collections', 'OrderedDict'), ')R(', pk.text('weight'), TENSOR, 'u.');
const DTYPE = bytes(
  pk.stackGlobal('numpy', 'dtype'),
  pk.text('f8'),
  0x89,
  0x88,
  0x87,
  'R(K',
  3,
  pk.text('<'),
  'NNNJ',
  u32(0xffffffff),
  'J',
  u32(0xffffffff),
  'K',
  0,
  'tb',
);
const ARRAY = bytes(
  pk.stackGlobal('numpy._core.multiarray', '_reconstruct'),
  pk.stackGlobal('numpy', 'ndarray'),
  'K',
  0,
  0x85,
  'C',
  1,
  'b',
  0x87,
  'R(K',
  1,
  'K',
  1,
  0x85,
  DTYPE,
  0x89,
  'C',
  8,
  Buffer.alloc(8),
  'tb',
);

/** joblib's array: a wrapper whose state says how many bytes follow it in the stream. */
function joblib(aligned: boolean): Buffer {
  const state = bytes(
    '}(', pk.text('subclass'), pk.stackGlobal('numpy', 'ndarray'), pk.text('shape'), 'K', 3, 0x85, pk.text('order'), pk.text('C'), pk.text('dtype'), DTYPE,
    pk.text('allow_mmap'), 0x88, aligned ? bytes(pk.text('numpy_array_alignment_bytes'), 'K', 16) : '', 'u',
  ); // biome-ignore format: one instruction after another
  // Raw bytes that a walker must not take for instructions, behind the padding and its length.
  const raw = bytes(aligned ? bytes(5, Buffer.alloc(5, 0xff)) : '', Buffer.alloc(24, 0xfe));
  return bytes(pk.proto(4), ']', '(', pk.stackGlobal('joblib.numpy_pickle', 'NumpyArrayWrapper'), ')', 0x81, state, 'b', raw, 'K', 1, 'e.');
}

describe('15 cases not to flag', () => {
  it('1 a PyTorch zip of a state dict', () => clean(w.torchZip(STATE), 'pytorch'));
  it('2 a legacy PyTorch file of five streams and raw tensors', async () => {
    const magic = bytes(pk.proto(2), Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex'), '.');
    const small = bytes(pk.proto(2), 'M', 0xe9, 3, '.');
    const keys = bytes(pk.proto(2), ']', pk.text('0'), 'a.');
    await clean(bytes(magic, small, bytes(pk.proto(2), '}.'), STATE, keys, Buffer.from('0200000000000000', 'hex'), Buffer.alloc(8, 0x3f)));
  });
  it('3 a checkpoint with optimiser state and a random state', async () => {
    const random = bytes(pk.stackGlobal('numpy.random._pickle', '__randomstate_ctor'), pk.text('MT19937'), 0x85, 'R');
    await clean(
      w.torchZip(bytes(pk.proto(2), '}(', pk.text('model'), TENSOR, pk.text('rng'), random, pk.text('lr'), 'G', Buffer.alloc(8), 'u.')),
    );
  });
  it('4 estimators of scikit-learn', async () => {
    const estimators = [
      'sklearn.ensemble._forest RandomForestClassifier',
      'sklearn.pipeline Pipeline',
      'sklearn.neural_network._multilayer_perceptron MLPClassifier',
      'sklearn.ensemble.forest RandomForestClassifier',
    ];
    for (const estimator of estimators) {
      const [module = '', name = ''] = estimator.split(' ');
      await clean(bytes(pk.proto(4), pk.stackGlobal(module, name), ')', 0x81, '}', pk.text('coef_'), ARRAY, 'sb.'), 'pickle');
    }
  });
  it('5 joblib files with arrays in the stream, plain and compressed', async () => {
    for (const file of [joblib(false), joblib(true)]) {
      await clean(file, 'pickle');
      await clean(deflateSync(file), 'zlib');
      await clean(gzipSync(file), 'gzip');
      await clean(bytes(`ZF0x${file.length.toString(16)}`.padEnd(22, ' '), deflateSync(file)), 'zfile');
    }
  });
  it('6 a NumPy array of strings as objects', () =>
    clean(
      w.npy(
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
        bytes(pk.proto(4), ']', '(', pk.text('a'), pk.text('os.system'), 'e.'),
      ),
      'numpy',
    ));
  it('7 a random generator of NumPy', async () => {
    const seed = bytes(
      pk.stackGlobal('numpy.random.bit_generator', '__pyx_unpickle_SeedSequence'),
      pk.stackGlobal('numpy.random.bit_generator', 'SeedSequence'),
      'K',
      1,
      'N',
      0x87,
      'R',
    );
    await clean(
      bytes(
        pk.proto(4),
        pk.stackGlobal('numpy.random._pickle', '__generator_ctor'),
        pk.stackGlobal('numpy.random._pickle', '__bit_generator_ctor'),
        pk.text('PCG64'),
        0x85,
        'R',
        0x85,
        'R0',
        seed,
        '.',
      ),
    );
  });
  it('8 a data frame', async () => {
    const index = bytes(pk.stackGlobal('pandas.core.indexes.base', '_new_Index'), pk.stackGlobal('pandas', 'Index'), '}', 0x86, 'R');
    await clean(bytes(pk.proto(4), pk.stackGlobal('pandas', 'DataFrame'), ')', 0x81, '}', pk.text('axes'), index, 'sb.'));
  });
  it('9 values of the standard library: UUID, dates, Decimal, slice, range, time zone', async () => {
    for (const value of [
      'uuid UUID',
      'datetime datetime',
      'decimal Decimal',
      'builtins slice',
      'builtins range',
      'fractions Fraction',
      'pathlib PurePosixPath',
      'collections deque',
      'functools partial',
    ]) {
      const [module = '', name = ''] = value.split(' ');
      await clean(bytes(pk.proto(4), pk.stackGlobal(module, name), pk.text('1'), 0x85, 'R.'));
    }
    const zone = bytes(
      pk.stackGlobal('builtins', 'getattr'),
      pk.stackGlobal('zoneinfo', 'ZoneInfo'),
      pk.text('_unpickle'),
      0x86,
      'R',
      pk.text('UTC'),
      'K',
      1,
      0x86,
      'R',
    );
    await clean(bytes(pk.proto(4), zone, '.'));
  });
  it('10 a dict of 100,000 entries', async () => {
    const entries = Array.from({ length: 100_000 }, (_, index) => bytes('J', u32(index), pk.text(String(index)), 0x94));
    await clean(bytes(pk.proto(4), '}', 0x94, '(', ...entries, 'u.'));
  });
  it('11 safetensors with BF16, FP8, an empty tensor and a padded header', async () => {
    const header = {
      __metadata__: { note: 'import os; os.system' },
      a: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] },
      b: { dtype: 'F8_E4M3', shape: [3], data_offsets: [4, 7] },
      c: { dtype: 'I32', shape: [2, 0], data_offsets: [7, 7] },
    };
    await clean(w.safetensors(`${JSON.stringify(header)}     `, Buffer.alloc(7)), 'safetensors');
  });
  it('12 GGUF with a long template for tools and an array of 150,000 tokens', async () => {
    const template = [
      "{%- if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% else %}{% set system_message = 'You are a helpful assistant.' %}{% endif %}",
      "{%- if tools %}{{ '<tools>' }}{% for tool in tools %}{{ tool | tojson(indent=2) }}{% endfor %}{% endif %}",
      "{%- for message in messages %}{% if '</think>' in message.content %}{% set content = message.content.split('</think>')[-1].lstrip('\\n') %}{% endif %}",
      "{%- if message.class == 'important' %}{{ raise_exception('Roles must alternate user/assistant') }}{% endif %}",
      "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}{%- endfor %}",
      "{%- for k, v in params.items() | selectattr('role', 'equalto', 'user') %}{{ messages[loop.index0 - 1]['content'] }}{% endfor %}",
      "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ].join('\n');
    const tokens = Array.from({ length: 150_000 }, (_, index) => `tok${index}`);
    await clean(
      w.gguf(
        [
          ['general.architecture', 'llama'],
          ['tokenizer.ggml.tokens', tokens],
          ['tokenizer.chat_template', template.repeat(20)],
        ],
        [{ name: 'a', dims: [8], offset: 0 }],
        Buffer.alloc(32),
      ),
      'gguf',
    );
  });
  it('13 a SavedModel that saves, restores, prints and decodes', () =>
    clean(w.savedModel('Const', 'SaveV2', 'RestoreV2', 'MergeV2Checkpoints', 'PrintV2', 'DecodeJpeg'), 'saved-model'));
  it('14 ONNX with data beside it and operators of the runtime', () =>
    clean(
      w.onnx(
        bytes(
          w.onnxNode('Relu'),
          w.onnxNode('FusedMatMul', 'com.microsoft'),
          w.field(2, 'g'),
          w.field(5, w.onnxExternal('weights/part 1.bin')),
        ),
      ),
      'onnx',
    ));
  it('15 Keras with a registered layer of its own and an inline vocabulary', async () => {
    await clean(
      w.kerasLayer({
        module: 'keras.layers',
        class_name: 'Dense',
        config: { activation: { module: 'keras.activations', class_name: 'function', config: 'relu', registered_name: 'relu' } },
        registered_name: 'Dense',
      }),
      'keras',
    );
    await clean(w.kerasLayer({ module: 'keras.layers', class_name: 'StringLookup', config: { vocabulary: ['a', 'b'] } }), 'keras');
  });
  it('text that begins like a pickle, Java classes, HDF5 behind a user block', async () => {
    await clean(bytes('const_p1,const_p2\n0.5,1.0.\n1.5,2.0\n'), 'text');
    await clean(bytes('(c) 2018, the authors. All rights reserved.\n'), 'text');
    await clean(bytes('{% extends "base.html" %}{% block body %}x{% endblock %}'), 'text');
    assert.equal((await scanBytes(bytes('\xca\xfe\xba\xbe', 0, 0, 0, 52, Buffer.alloc(64, 1)))).verdict, 'clean');
    const behind = bytes('MATLAB 7.3 MAT-file', Buffer.alloc(512 - 19), '\x89HDF\r\n\x1a\n', Buffer.alloc(40));
    assert.equal((await scanBytes(behind)).format, 'hdf5');
  });
  it('words about code in data, prose, tables, pictures and noise', async () => {
    await clean(bytes(pk.proto(4), pk.text('os.system("rm -rf /")'), pk.text('builtins eval'), 0x86, '.'));
    await clean(bytes('# Model\n\nRun `os.system` with care:\n\n```python\nimport os\nos.system("ls")\n```\n'), 'text');
    await clean(
      bytes('import torch\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        self.eval()\n        return x\n'),
      'text',
    );
    await clean(bytes('a,b\n1,2\n'), 'text');
    await clean(bytes('\x89PNG\r\n\x1a\n', Buffer.from(Array.from({ length: 4000 }, (_, index) => (index * 7919) % 251))), 'data');
    await clean(bytes(PLAIN, PLAIN, Buffer.alloc(512)), 'pickle');
  });
  it('a program that holds the signatures of formats, and a GGML file of before GGUF', async () => {
    const noise = Buffer.from(Array.from({ length: 300 }, (_, index) => ((index * 7919) % 127) | 128));
    for (const signature of ['\x93NUMPY', '\x89HDF\r\n\x1a\n', '1AY&SY', 'BZh%i1AY&SY', 'PK\x03\x04'])
      await clean(bytes('\xa7\r\r\n', noise, signature, noise), 'data');
    await clean(bytes('tjgg', 3, 0, 0, 0, noise), 'ggml');
    // What reads as a header is followed up.
    const inner = w.npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", w.EVIL);
    assert.equal((await scanBytes(bytes('\xa7\r\r\n', noise, inner))).verdict, 'malicious');
    assert.equal((await scanBytes(bytes('tjgg', 3, 0, 0, 0, noise, w.EVIL))).verdict, 'malicious');
  });
  it('Python that asks for a constant that not every system has', async () => {
    await clean(bytes("import os\n\nFLAGS = os.O_RDONLY | getattr(os, 'O_BINARY', 0)\n"), 'text');
    for (const asked of [
      "getattr(os, 'system')('id')",
      "getattr(os, 'SYS' 'tem'.lower())('id')",
      "getattr(os, 'SYSTEM'.lower())('id')",
      "getattr(os, name)('id')",
    ])
      assert.equal((await scanBytes(bytes(`import os\n\n${asked}\n`))).verdict, 'suspicious', asked);
  });
  it('XML with the document types of fontconfig, D-Bus, DocBook and of a file beside it', async () => {
    for (const type of [
      'fontconfig SYSTEM "urn:fontconfig:fonts.dtd"',
      'busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"',
      'book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd" [<!ENTITY v "1.0">]',
      'xkbConfigRegistry SYSTEM "xkb.dtd"',
    ])
      assert.deepEqual((await scanBytes(Buffer.from(`<?xml version="1.0"?>\n<!DOCTYPE ${type}>\n<x>&v;</x>\n`))).verdict, 'clean', type);
  });
});
