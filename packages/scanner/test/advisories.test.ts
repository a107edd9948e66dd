import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type FileReport, type FileVerdict, scanPath } from '../src/index.ts';
import * as w from './writers.ts';
import { bytes, callPickle, EVIL, PLAIN, pk, scanBytes, u32, u64 } from './writers.ts';

/** An HDF5 file whose root group holds one message of its object header (File Format Specification 3.0, II.A, IV.A.1.a), and what it points at. */
function hdf5(type: number, message: Buffer, heap: Buffer = Buffer.alloc(0)): Buffer {
  const padded = bytes(message, Buffer.alloc((8 - (message.length % 8)) % 8));
  const header = bytes(1, 0, w.u16(1), u32(1), u32(8 + padded.length), u32(0), w.u16(type), w.u16(padded.length), u32(0), padded);
  const file = bytes(
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
    u32(0),
    u64(0),
    ABSENT,
    u64(HEAP + heap.length),
    ABSENT,
    u64(0),
    u64(96),
    Buffer.alloc(24),
    header,
  );
  return bytes(file, Buffer.alloc(HEAP - file.length), heap);
}
const ABSENT: Buffer = Buffer.alloc(8, 0xff);
const HEAP = 512;
/** Names of files by a local heap. */
const localHeap = (name: string): Buffer => bytes('HEAP', u32(0), u64(64), u64(0), u64(HEAP + 32), name, Buffer.alloc(64));
const ALL: Buffer = bytes(u32(3), u32(1), u64(0));
/** Mappings of a virtual dataset, whole to whole, in a global heap. */
const globalHeap = (...names: readonly string[]): Buffer => {
  const mappings = bytes(0, u64(names.length), ...names.map((name) => `${name}\0src\0`).flatMap((name) => [name, ALL, ALL]));
  return bytes('GCOL', 1, 0, 0, 0, u64(4096), w.u16(1), w.u16(1), u32(0), u64(mappings.length), mappings, Buffer.alloc(64));
};
const storage = hdf5(7, bytes(1, 0, 0, 0, w.u16(1), w.u16(1), u64(HEAP)), localHeap('/etc/passwd'));
const link = hdf5(6, bytes(1, 8, 64, 1, 'w', w.u16(20), 0, '/etc/passwd\0/w\0'));
const virtual = (...names: readonly string[]): Buffer => hdf5(8, bytes(4, 3, u64(HEAP), u32(1)), globalHeap(...names));

/** What was published of scanners and loaders that were fooled, each by its number: the file that does it, and what it must be called. */
type Case = readonly [advisory: string, file: Buffer, verdict: FileVerdict | readonly FileVerdict[]];

const calls = (name: string): Buffer => callPickle(...(name.split(' ') as [string, string]));
/** Gadgets of the advisories on picklescan that have no number of their own here, in its list of 2026. */
const GADGETS: readonly string[] = `
timeit timeit
pydoc pipepager
cProfile runctx
profile Profile.run
trace Trace.run
doctest debug_script
ensurepip _run_pip
code InteractiveInterpreter.runcode
distutils.file_util write_file
idlelib.autocomplete AutoComplete.get_entity
idlelib.calltip get_entity
idlelib.debugobj ObjectTreeItem.SetText
idlelib.pyshell ModifiedInterpreter.runcode
idlelib.run Executive.runcode
imaplib IMAP4_stream
lib2to3.pgen2.grammar Grammar.loads
lib2to3.pgen2.pgen ParserGenerator.make_label
numpy.f2py.crackfortran getlincoef
torch._dynamo.guards GuardBuilder.get
torch._inductor.codecache compile_file
torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression
torch.jit.unsupported_tensor_ops execWrapper
torch.utils._config_module ConfigModule.load_config
torch.utils.bottleneck.__main__ run_cprofile
torch.utils.collect_env run
torch.utils.data.datapipes.utils.decoder basichandlers
_aix_support _read_cmd_output
_osx_support _read_output
_pyrepl.pager pipe_pager
asyncio.unix_events _UnixSubprocessTransport._start
logging FileHandler
numpy.testing._private.utils runstring
linecache getlines
mlflow.projects.backend.local _run_entry_point
pandas read_csv`
  .trim()
  .split('\n');
const MALFORMED: readonly FileVerdict[] = ['malformed', 'malicious'];
const pickled = { name: 'archive/data.pkl', content: EVIL };
const onnx = (location: string): Buffer => w.onnx(bytes(w.onnxNode('Relu'), w.field(2, 'g'), w.field(5, w.onnxExternal(location))));
const layer = (class_name: string, config: unknown, module = 'keras.layers'): Buffer => w.kerasLayer({ module, class_name, config });
const keyed = (key: string, raw: Buffer, type: number): Buffer => w.gguf([[key, { type, raw }]]);
const skops = (schema: unknown, extra: readonly w.ZipMember[] = []): Buffer =>
  w.zip([{ name: 'schema.json', content: Buffer.from(JSON.stringify(schema)) }, ...extra]);
/** R's integers are of four bytes, the highest first. */
const xdr = (...words: readonly number[]): Buffer => bytes(...words.map((word) => Buffer.from(u32(word)).reverse()));
const symbol = (name: string): Buffer => bytes(xdr(1, 0x40009, name.length), name);
const promise = bytes(xdr(5), xdr(252), xdr(6), symbol('system'), xdr(254));

const cases: readonly Case[] = [
  ['CVE-2025-1716 (picklescan): pip.main', calls('pip main'), 'malicious'],
  ['CVE-2025-1944 (picklescan): a zip whose names differ', w.zip([{ ...pickled, localName: 'archive/data.txt' }]), 'malicious'],
  ['CVE-2025-1945 (picklescan): flag bits of a zip', w.zip([{ ...pickled, flags: 1 }]), 'malicious'],
  ['CVE-2025-10156 (picklescan): a wrong checksum', w.zip([{ ...pickled, crc: 1 }]), 'malicious'],
  ['CVE-2025-10157 (picklescan): a submodule of a denied module', calls('asyncio.unix_events _UnixSubprocessTransport._start'), 'malicious'],
  ['GHSA-vvpj-8cmc-gx39 (picklescan): pkgutil.resolve_name', calls('pkgutil resolve_name'), 'malicious'],
  ['CVE-2026-22608 (fickling): ctypes', calls('ctypes CDLL'), 'malicious'],
  ['CVE-2026-22608 (fickling): pydoc.locate', calls('pydoc locate'), 'malicious'],
  ['GHSA-mhc9-48gj-9gp3 (fickling): BUILD behind REDUCE', bytes(pk.proto(4), pk.call('posix', 'system'), '}b.'), 'malicious'],
  ['GHSA-mxhj-88fx-4pcv (fickling): OBJ and POP', bytes('(cposix\nsystem\n', "S'id'\no0N."), 'malicious'],
  ['GHSA-5hwf-rc88-82xm (fickling): uuid', calls('uuid _get_command_stdout'), 'malicious'],
  ['GHSA-5j3x-jp52-966f (fickling): a dotted name', calls('torch serialization.os.system'), 'malicious'],
  ['GHSA-cffv-grgg-g429 (fickling): a denied name in an allowed module', calls('numpy.f2py.crackfortran myeval'), 'malicious'],
  ['GHSA-6ggj-6f2q-f7mx (fickling): _interpreters', calls('_interpreters run_string'), 'malicious'],
  ['modelscan #330: __builtins__ of an allowed function', bytes(pk.proto(4), pk.stackGlobal('numpy', 'size'), '}', pk.text('x'), pk.stackGlobal('numpy', '__builtins__'), 'sb.'), 'malicious'],
  ['modelscan #338: spawnv_passfds', calls('multiprocessing.util spawnv_passfds'), 'malicious'],
  ['modelscan #354: a zip that a zip library refuses', bytes(w.zip([pickled]).subarray(0, -1)), 'malicious'],
  ['nullifAI: a pickle that breaks off behind its payload', bytes(EVIL.subarray(0, -1), 0xff), 'malicious'],
  ['python/cpython#154848: a frame that ends in an argument', bytes(pk.proto(4), 0x95, u64(3), 'X', u32(1), 'aN.'), 'suspicious'],
  ['promptfoo #6266: a memo that unfolds without end', bytes(pk.proto(4), '(l', 0x94, '0', ...Array.from({ length: 40 }, (_, index) => bytes('(h', index, 'h', index, 'h', index, 'h', index, 'l', 0x94, '0')), 'h', 40, '.'), 'malformed'],
  ['CVE-2022-45907 (PyTorch): parse_type_line', calls('torch.jit.annotations parse_type_line'), 'malicious'],
  ['CVE-2024-5480 (PyTorch): RPC', calls('torch.distributed.rpc rpc_sync'), 'malicious'],
  ['CVE-2024-48063 (PyTorch): RemoteModule', calls('torch.distributed.nn.api.remote_module _RemoteModule'), 'malicious'],
  ['CVE-2025-32434 (PyTorch): weights_only and a tar archive', w.tar(['sys_info', 'pickle', 'storages', 'tensors'].map((name) => ({ name, content: name === 'pickle' ? EVIL : PLAIN }))), 'malicious'],
  ['CVE-2026-24747 (PyTorch): SETITEM on a tensor', bytes(pk.proto(2), pk.global('torch._utils', '_rebuild_tensor_v2'), ')RK', 0, 'K', 1, 's.'), 'suspicious'],
  ['CVE-2024-3660 (Keras): Lambda', layer('Lambda', { function: { class_name: '__lambda__', config: { code: '42luZXJ0' } } }), 'malicious'],
  ['CVE-2025-1550 (Keras): a module of its own choice', layer('function', 'run', 'subprocess'), 'malicious'],
  ['CVE-2025-8747 (Keras): get_file', layer('function', 'get_file', 'keras.utils'), 'malicious'],
  ['CVE-2025-9905 (Keras): Lambda in HDF5', bytes('\x89HDF\r\n\x1a\n', Buffer.alloc(100), JSON.stringify({ class_name: 'Sequential', config: { layers: [{ class_name: 'Lambda', config: { function: ['4wEA', null, null], function_type: 'lambda' } }] } }), Buffer.alloc(64)), 'malicious'],
  ['CVE-2025-9906 (Keras): enable_unsafe_deserialization', layer('function', 'enable_unsafe_deserialization', 'keras.config'), 'malicious'],
  ['CVE-2025-49655 (Keras): TorchModuleWrapper', layer('TorchModuleWrapper', { module: EVIL.toString('base64') }, 'keras.utils'), 'malicious'],
  ['CVE-2025-12058 (Keras): a vocabulary from a file', layer('StringLookup', { vocabulary: '/etc/passwd' }), 'malicious'],
  ['CVE-2026-1462 (Keras): TFSMLayer', layer('TFSMLayer', { filepath: '/tmp/model' }), 'malicious'],
  ['CVE-2026-1669 (Keras): external storage of HDF5', storage, 'malicious'],
  ['CVE-2026-1669 (Keras): an external link of HDF5', link, 'malicious'],
  ['CVE-2026-1669 (Keras): a virtual dataset of HDF5 over another file', virtual('other.h5'), 'malicious'],
  ['CVE-2026-1669 (Keras): the same behind a mapping of this file', virtual('.', 'other.h5'), 'malicious'],
  ['CVE-2026-1669 (Keras): the same in a Keras archive', w.zip([{ name: 'config.json', content: Buffer.from('{}') }, { name: 'model.weights.h5', content: storage }]), 'malicious'],
  ['CVE-2022-25882 (ONNX): data above the model', onnx('../../etc/passwd'), 'malicious'],
  ['CVE-2024-27318 (ONNX): data above a directory of the model', onnx('sub/../../x'), 'malicious'],
  ['CVE-2025-51480 (ONNX): data at an absolute path', onnx('/etc/passwd'), 'malicious'],
  ['CVE-2024-21802 (GGUF): an array of more elements than bytes', keyed('a', bytes(u32(4), u64(2n ** 40n)), 9), MALFORMED],
  ['CVE-2024-21825 (GGUF): more keys than bytes', bytes('GGUF', u32(3), u64(0), u64(2n ** 63n)), MALFORMED],
  ['CVE-2024-21836 (GGUF): more tensors than bytes', bytes('GGUF', u32(3), u64(2n ** 60n), u64(0)), MALFORMED],
  ['CVE-2024-23496 (GGUF): more dimensions than a tensor has', bytes('GGUF', u32(3), u64(1), u64(0), u64(1), 'a', u32(1_000_000)), MALFORMED],
  ['CVE-2024-23605 (GGUF): a string longer than the file', keyed('a', u64(2n ** 62n), 8), MALFORMED],
  ['CVE-2026-7482 (Ollama): dimensions larger than the data', w.gguf([], [{ name: 't', dims: [2 ** 20, 2 ** 10], offset: 0 }], Buffer.alloc(32)), MALFORMED],
  ['CVE-2024-34359 (llama-cpp-python): a template that reaches the interpreter', w.gguf([['tokenizer.chat_template', "{{ cycler.__init__.__globals__.os.popen('id').read() }}"]]), 'malicious'],
  ['CVE-2025-54412 (skops): OperatorFuncNode', skops({ __class__: 'system', __module__: 'os', __loader__: 'OperatorFuncNode', attrs: { __class__: 'tuple', __module__: 'builtins', __loader__: 'TupleNode', content: [] } }), 'malicious'],
  ['CVE-2025-54413 (skops): MethodNode', skops({ __class__: 'x', __module__: 'builtins', __loader__: 'MethodNode', content: { func: '__class__', obj: {} } }), 'malicious'],
  ['CVE-2025-54886 (skops): a pickle in place of the schema', w.zip([{ name: 'schema.json', content: EVIL }]), 'malicious'],
  ['CVE-2025-23304 (NeMo): _target_', Buffer.from('model:\n  _target_: subprocess.run\n  args: [id]\n'), 'malicious'],
  ['CVE-2024-27322 (R): a promise as a value', bytes('X\n', xdr(2, 0x40300, 0x20300), promise), 'malicious'],
  ['CVE-2024-27322 (R): the same behind a header that R takes and does not write', bytes('X ', xdr(2, 0x40300, 0x20300), promise), 'malicious'],
  ['CVE-2024-27322 (R): the same as text with CR LF', bytes('A\r\n2\r\n197888\r\n131840\r\n5\r\n242\r\n242\r\n254\r\n'), 'not-scanned'],
  ['CVE-2024-27322 (R): a variable that is a promise', bytes('RDX2\nX\n', xdr(2, 0x40300, 0x20300), xdr(0x402), symbol('x'), promise, xdr(254)), 'malicious'],
]; // biome-ignore format: a table

describe('published advisories', () => {
  for (const [advisory, file, verdict] of cases)
    it(advisory, async () => {
      const report = await scanBytes(file);
      const allowed = typeof verdict === 'string' ? [verdict] : verdict;
      assert.ok(allowed.includes(report.verdict), `${report.verdict} as ${report.format}: ${JSON.stringify(report.findings)}`);
      const [id = ''] = advisory.split(' ', 1);
      if (!id.startsWith('CVE-') || verdict === 'not-scanned') return;
      const named = report.findings.find(({ cve = [] }) => cve.includes(id));
      assert.ok(named !== undefined, `no finding names ${id}: ${JSON.stringify(report.findings)}`);
      // What fools scanners alone, and the readers of C that have only releases without numbers, have no safe loader; of one sources disagree.
      if (id === 'CVE-2026-1462') assert.equal(named.loader, undefined);
      else if (!/\((?:picklescan|fickling|GGUF|Ollama)\)/.test(advisory)) assert.match(named.loader ?? '', /^[\w-]+ \d+\.\d+/, advisory);
    });
  for (const gadget of GADGETS)
    it(`advisories on picklescan, modelscan #263: ${gadget}`, async () =>
      assert.equal((await scanBytes(calls(gadget))).verdict, 'malicious'));
  it('no advisory is put on what it is not about', async () => {
    assert.deepEqual(
      (await scanBytes(EVIL)).findings.flatMap(({ cve = [] }) => cve),
      [],
    );
    assert.deepEqual((await scanBytes(virtual('.', '.'))).findings, []);
  });
  it('a virtual dataset whose own mapping ends as the name of this file, lies behind a MiB of heap, or is not there', async () => {
    const layout = bytes(4, 3, u64(HEAP), u32(1));
    const mappings = bytes(0, u64(2), '.\0a.\0', ALL, ALL, 'other.h5\0src\0', ALL, ALL);
    const object = (index: number, content: Buffer): Buffer =>
      bytes(w.u16(index), w.u16(1), u32(0), u64(content.length), content, Buffer.alloc((8 - (content.length % 8)) % 8));
    const heap = (...objects: readonly Buffer[]): Buffer => bytes('GCOL', 1, 0, 0, 0, u64(2 ** 21), ...objects, Buffer.alloc(64));
    for (const [objects, verdict, message] of [
      [[object(1, mappings)], 'malicious', /other\.h5/],
      [[object(2, Buffer.alloc(2 ** 20)), object(1, mappings)], 'malicious', /other\.h5/],
      [[object(2, mappings)], 'malformed', /mappings/],
      [[object(1, mappings.subarray(0, 40))], 'malformed', /mappings/],
    ] as const) {
      const report = await scanBytes(hdf5(8, layout, heap(...objects)));
      assert.equal(report.verdict, verdict);
      assert.match(report.findings[0]?.message ?? '', message);
    }
  });
  it('CVE-2025-1889, CVE-2025-10155 (picklescan): a name that says something else', async () => {
    for (const name of ['model.bin', 'model.safetensors', 'config.json', 'README'])
      assert.equal((await scanBytes(EVIL, name)).verdict, 'malicious', name);
  });
});

describe('external data of ONNX on a disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'advisories-'));
  after(() => rmSync(folder, { recursive: true }));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'secret');
  /** A model whose data is at `location`, in a directory that `prepare` has put it into. */
  const scan = async (
    name: string,
    location: string,
    prepare: (model: string) => void,
    model: string = join(folder, name),
  ): Promise<FileReport> => {
    mkdirSync(model, { recursive: true });
    prepare(model);
    writeFileSync(join(model, 'model.onnx'), onnx(location));
    return await scanPath(join(model, 'model.onnx'));
  };
  const holds = (report: FileReport, verdict: FileVerdict, cve: string): void => {
    assert.equal(report.verdict, verdict, JSON.stringify(report.findings));
    assert.ok(
      report.findings.some((finding) => finding.cve?.includes(cve) === true && finding.loader === 'onnx 1.21.0'),
      cve,
    );
  };
  it('CVE-2026-27489: a link out of the directory', async () =>
    holds(await scan('link', 'weights', (model) => symlinkSync('../secret', join(model, 'weights'))), 'malicious', 'CVE-2026-27489'));
  it('CVE-2026-34447: a link of a parent', async () =>
    holds(await scan('parent', 'sub/secret', (model) => symlinkSync('..', join(model, 'sub'))), 'malicious', 'CVE-2026-34447'));
  it('CVE-2026-34446: a hard link', async () =>
    holds(await scan('hard', 'weights', (model) => linkSync(secret, join(model, 'weights'))), 'suspicious', 'CVE-2026-34446'));
  it('a parent behind a link, and a backslash that is a part of the name', async () => {
    mkdirSync(join(folder, 'deep'));
    assert.equal((await scan('up', 'sub/../secret', (model) => symlinkSync('../deep', join(model, 'sub')))).verdict, 'malicious');
    assert.equal((await scan('back', 'x\\y', (model) => symlinkSync('../secret', join(model, 'x\\y')))).verdict, 'malicious');
  });
  it('a model and its data that are both linked from one store are clean', async () => {
    const store = join(folder, 'store');
    mkdirSync(store);
    writeFileSync(join(store, 'w.bin'), 'x');
    writeFileSync(join(store, 'm.onnx'), onnx('w.bin'));
    const model = join(folder, 'linked');
    mkdirSync(model);
    for (const name of ['w.bin', 'm.onnx']) symlinkSync(join(store, name), join(model, name));
    assert.deepEqual((await scanPath(join(model, 'm.onnx'))).findings, []);
  });
  it('data that lies beside it, is linked inside, is missing, or is a blob of the cache of the Hub is clean', async () => {
    const plain = (model: string): void => writeFileSync(join(model, 'w.bin'), 'x');
    const inside = (model: string): void => {
      plain(model);
      symlinkSync('w.bin', join(model, 'weights'));
    };
    const cache = join(folder, 'models--acme--llama');
    mkdirSync(join(cache, 'blobs'), { recursive: true });
    writeFileSync(join(cache, 'blobs', 'abc'), 'x');
    const blob = (model: string): void => symlinkSync('../../blobs/abc', join(model, 'weights'));
    for (const report of [
      await scan('plain', 'w.bin', plain),
      await scan('inside', 'weights', inside),
      await scan('missing', 'weights', () => undefined),
      await scan('hub', 'weights', blob, join(cache, 'snapshots', '0123')),
    ])
      assert.deepEqual([report.verdict, report.findings], ['clean', []]);
  });
});

describe('formats that hold no code of their own', () => {
  const operator = (type: string, path?: string): Buffer =>
    bytes(w.field(3, type), path === undefined ? '' : w.field(4, bytes(w.field(1, 'file_path'), w.number(2, 2), w.field(5, path))));
  const paddle = (...operators: readonly Buffer[]): Buffer =>
    bytes(
      w.field(1, bytes(w.number(1, 0), w.number(2, 0), w.field(3, w.field(1, 'x')), ...operators.map((one) => w.field(4, one)))),
      w.field(4, w.number(1, 0)),
    );
  const rds = (item: Buffer): Buffer => bytes('X\n', xdr(2, 0x40300, 0x20300), item);
  const sound: readonly (readonly [string, Buffer, string])[] = [
    ['a PaddlePaddle program', paddle(operator('matmul_v2'), operator('relu')), 'paddle'],
    [
      'an R list of numbers and text',
      rds(
        bytes(
          xdr(0x213, 2),
          xdr(13, 2, 1, 2),
          xdr(16, 1, 0x40009, 1),
          'a',
          xdr(0x402),
          symbol('names'),
          xdr(16, 1, 0x40009, 1),
          'b',
          xdr(254),
        ),
      ),
      'rds',
    ],
    ['an R function', rds(bytes(xdr(0x403), xdr(253), xdr(254), xdr(6), symbol('system'), xdr(254))), 'rds'],
    [
      'an MXNet graph',
      Buffer.from(
        JSON.stringify({
          nodes: [
            { op: 'null', name: 'x' },
            { op: 'FullyConnected', name: 'y' },
          ],
          arg_nodes: [0],
          heads: [[1, 0]],
        }),
      ),
      'json',
    ],
    ['a CatBoost model', bytes('CBM1', u32(8), Buffer.alloc(8)), 'catboost'],
  ];
  for (const [name, file, format] of sound)
    it(`${name} is clean`, async () => {
      const report = await scanBytes(file);
      assert.deepEqual([report.format, report.verdict], [format, 'clean'], JSON.stringify(report.findings));
    });
  const unsound: readonly (readonly [string, Buffer, FileVerdict])[] = [
    ['an operator of PaddlePaddle that writes outside', paddle(operator('save', '/etc/cron.d/x')), 'malicious'],
    ['an operator of PaddlePaddle that reads beside it', paddle(operator('load', 'x')), 'suspicious'],
    ['an operator of PaddlePaddle that calls Python', paddle(operator('py_func')), 'suspicious'],
    ['an operator of MXNet that calls Python', Buffer.from(JSON.stringify({ nodes: [{ op: 'Custom', name: 'x', attrs: { op_type: 'y' } }], arg_nodes: [] })), 'suspicious'],
    ['an R vector longer than the file', rds(xdr(14, 2 ** 30)), 'malformed'],
    ['an R list without end', rds(Buffer.alloc(400_000, xdr(0x213, 1))), 'malformed'],
    ['an R file as text', Buffer.from('A\n3\n262657\n197888\n5\nUTF-8\n13\n1\n1\n'), 'not-scanned'],
    ['a CatBoost model that is cut off', bytes('CBM1', u32(800), Buffer.alloc(8)), 'malformed'],
  ]; // biome-ignore format: a table
  for (const [name, file, verdict] of unsound)
    it(`${name} is ${verdict}`, async () => {
      const report = await scanBytes(file);
      assert.equal(report.verdict, verdict, JSON.stringify(report.findings));
    });
});
