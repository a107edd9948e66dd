import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { FileVerdict } from '../src/index.ts';
import * as w from './writers.ts';
import { bytes, callPickle, EVIL, PLAIN, pk, rulesOf, scanBytes, u64 } from './writers.ts';

/** Repeats until `length` bytes are there. */
function fill(pattern: string, length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(pattern, 'latin1'));
}

const template = (text: string): Buffer => w.gguf([['tokenizer.chat_template', text]]);

describe('what is made to take long ends, and is not clean', () => {
  const cases: readonly (readonly [string, Buffer, readonly FileVerdict[]])[] = [
    ['a stack of millions', bytes(pk.proto(4), fill('N', 2 ** 23)), ['inconclusive', 'malformed']],
    ['marks', bytes(pk.proto(4), fill('(', 2 ** 23)), ['inconclusive', 'malformed']],
    ['objects nested without end', bytes(pk.proto(4), 'N', fill('\x85', 2 ** 20), '.'), ['malformed']],
    ['protocol markers without end', bytes(PLAIN, fill('\x80\x02N', 2 ** 19)), ['suspicious']],
    ['crossing frames without end', bytes(pk.proto(4), fill('\x95\x01\0\0\0\0\0\0\0K\x01', 2 ** 19)), ['suspicious']],
    ['imports in the tail without end', bytes(PLAIN, '\xff', fill('cos\nsystem\n', 2 ** 19)), ['suspicious', 'malicious']],
    ['a template of white space', template(`{{ a${' '.repeat(400_000)} }}`), ['inconclusive']],
    ['a template of brackets', template(`{{ ${'('.repeat(200_000)} }}`), ['inconclusive']],
    ['a template of tags', template('{%'.repeat(200_000)), ['inconclusive']],
    ['a format string of dots', template(`{{ '{${'.'.repeat(400_000)}'.format(a) }}`), ['clean']],
    ['declarations without end', bytes('<?xml version="1.0"?><!DOCTYPE x [', fill('<!ENTITY x "', 2 ** 20)), ['inconclusive']],
    [
      'a notebook of empty lines',
      bytes(JSON.stringify({ nbformat: 4, cells: [{ cell_type: 'code', source: '\n'.repeat(500_000) }] })),
      ['clean'],
    ],
    [
      'heap blocks without end',
      bytes('\x89HDF\r\n\x1a\n', Buffer.alloc(200), fill('FHDB\x01\x08\x40', 2 ** 21)),
      ['malformed', 'malicious'],
    ],
    ['imports without end', fill('cos\nsystem\n0', 2 ** 23), ['malicious']],
    ['imports of unknown names without end', bytes(fill('ca\nb\n0', 2 ** 23), 'N.'), ['inconclusive']],
    ['pickles in strings without end', bytes(pk.proto(4), fill('C\x04\x80\x04N.0', 2 ** 24), 'N.'), ['inconclusive']],
    ['pickles one after another without end', fill('\x80\x04N.', 2 ** 23), ['inconclusive']],
    ['letters before lines behind a break', bytes(pk.proto(4), '\xff', fill(`${'c'.repeat(90)}\nx\n`, 2 ** 22)), ['malformed']],
    ['gzip streams without end', fill(gzipSync('').toString('latin1'), 2 ** 22), ['inconclusive']],
    ['lz4 frames without end', fill('\x04\x22\x4d\x18\x40\x40\xc0\0\0\0\0', 2 ** 22), ['inconclusive']],
    ['local headers without end', fill(`PK\x03\x04\x14${'\0'.repeat(21)}\x01\0\0\0a`, 2 ** 22), ['suspicious', 'malformed']],
    ['fields of a graph without end', w.onnx(fill('\x12\0', 2 ** 24)), ['inconclusive']],
    ['a library name without end', bytes('ftrt', fill('a', 2 ** 22)), ['not-scanned']],
  ];
  for (const [name, file, verdicts] of cases) {
    it(name, async () => {
      const report = await scanBytes(file);
      assert.ok(verdicts.includes(report.verdict), `${report.verdict}: ${JSON.stringify(report.findings.slice(0, 3))}`);
      assert.ok(!rulesOf(report).includes('limit-time') || report.verdict !== 'clean');
    });
  }
});

describe('ways around the allow list', () => {
  const partial = (first: Buffer): Buffer => bytes(pk.proto(4), pk.stackGlobal('functools', 'partial'), first, 0x85, 'R.');
  const bound = bytes(pk.stackGlobal('builtins', 'getattr'), pk.stackGlobal('zoneinfo', 'ZoneInfo'), pk.text('_unpickle'), 0x86, 'R');
  it('a function that calls what it is given does not launder getattr or a computed value', async () => {
    const getattr = bytes(bound, '0', pk.stackGlobal('builtins', 'getattr'));
    for (const file of [partial(bound), partial(getattr)]) assert.ok(rulesOf(await scanBytes(file)).includes('pickle-computed-call'));
    const rebuild = bytes(pk.proto(4), pk.stackGlobal('torch._tensor', '_rebuild_from_type_v2'), bound, 'N)N', '(1', 0x87, 'R.');
    assert.notEqual((await scanBytes(rebuild)).verdict, 'clean');
  });
  it('getattr that is imported and not called, or called on anything else, is denied', async () => {
    assert.equal((await scanBytes(bytes(pk.proto(4), pk.stackGlobal('builtins', 'getattr'), '.'))).verdict, 'malicious');
    const path = bytes(pk.stackGlobal('pathlib', 'PosixPath'), pk.text('/tmp/x'), 0x85, 'R');
    assert.equal(
      (await scanBytes(bytes(pk.proto(4), pk.stackGlobal('builtins', 'getattr'), path, pk.text('write_text'), 0x86, 'R.'))).verdict,
      'malicious',
    );
  });
  it('a call that allocates without bound', async () => {
    const size = bytes(0x8a, 5, u64(2n ** 33n).subarray(0, 5));
    assert.ok(
      rulesOf(await scanBytes(bytes(pk.proto(4), pk.stackGlobal('builtins', 'bytearray'), size, 0x85, 'R.'))).includes('pickle-expansion'),
    );
    const range = bytes(pk.stackGlobal('builtins', 'range'), size, 0x85, 'R');
    assert.ok(
      rulesOf(await scanBytes(bytes(pk.proto(4), pk.stackGlobal('builtins', 'list'), range, 0x85, 'R.'))).includes('pickle-expansion'),
    );
  });
  it('classes of the archive itself are fine in TorchScript, and nowhere else', async () => {
    const model = bytes(pk.proto(2), pk.global('__torch__.net', 'Net'), ')', 0x81, '}', pk.text('training'), 0x89, 'sb.');
    assert.equal(
      (await scanBytes(w.torchZip(model, [{ name: 'archive/code/__torch__.py', content: bytes('def forward(self, x):\n  return x\n') }])))
        .verdict,
      'clean',
    );
    assert.equal((await scanBytes(model)).verdict, 'suspicious');
    const code = bytes('def forward(self, x):\n  return torch.save(x, "/tmp/x")\n');
    assert.equal((await scanBytes(w.torchZip(model, [{ name: 'archive/code/__torch__.py', content: code }]))).verdict, 'suspicious');
  });
  it('a module of a package that is denied, whatever stands around it', async () => {
    for (const name of [
      'os.path join',
      'numpy.f2py.crackfortran myeval',
      'torch._inductor.codecache compile_file',
      'importlib.machinery SourceFileLoader',
    ]) {
      const [module = '', attribute = ''] = name.split(' ');
      assert.equal((await scanBytes(callPickle(module, attribute))).verdict, 'malicious', name);
    }
    assert.equal((await scanBytes(callPickle('ｏｓ', 'system'))).verdict, 'suspicious');
    assert.equal((await scanBytes(bytes('cposix\r\nsystem\n(', "S'x'\ntR."))).verdict, 'suspicious');
    assert.equal((await scanBytes(bytes(EVIL.subarray(0, 2), 'U', 3, 'abcQ.'))).verdict, 'suspicious');
  });
});
