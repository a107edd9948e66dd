import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, EVIL, field, rulesOf, scanBytes, zip } from './writers.ts';

const text = (value: string): Buffer => Buffer.from(value);

describe('TensorFlow graphs beside SavedModel', () => {
  it('operations in the text format, however their names are written', async () => {
    for (const operation of [
      'op: "PyFunc"',
      "op:'WriteFile'",
      'op : # comment\n "Py" \'Func\'',
      'op: "Py\\x46unc"',
      'op: "\\120yFunc"',
      'op:\n"EagerPyFunc"',
    ]) {
      const report = await scanBytes(text(`# a graph\nnode {\n  name: "n"\n  ${operation}\n}\n`));
      assert.deepEqual([report.format, report.verdict], ['tensorflow-text', 'malicious'], operation);
    }
    const saved = 'saved_model_schema_version: 1\nmeta_graphs { graph_def { node { name: "n" op: "ReadFile" } } }\n';
    assert.equal((await scanBytes(text(saved))).verdict, 'malicious');
  });
  it('an operation at every place about the end of a window, and behind strings longer than one', async () => {
    for (const before of [0, 1, 3, 5, 8, 11, 14].map((back) => 2 ** 20 - back))
      assert.equal((await scanBytes(text(`${'node {'.padEnd(before)}op: "PyFunc" }${' '.repeat(200)}`))).verdict, 'malicious', `${before}`);
    for (const long of ['x'.repeat(2 ** 21), '\\"'.repeat(2 ** 20), `${'x'.repeat(2 ** 20 - 30)}\\n`.repeat(3)])
      assert.equal((await scanBytes(text(`node { s: "${long}" }\nnode { op: "PyFunc" }`))).verdict, 'malicious');
  });
  it('ordinary graphs and words in values are clean', async () => {
    const graph = 'node {\n  name: "PyFunc"\n  op: "MatMul"\n  attr { key: "op" value { s: "WriteFile" } }\n}\nversions { producer: 27 }\n';
    const report = await scanBytes(text(graph));
    assert.deepEqual([report.format, report.verdict], ['tensorflow-text', 'clean']);
  });
  it('a meta graph beside a checkpoint', async () => {
    const meta = (operation: string): Buffer =>
      bytes(field(1, field(4, 'train')), field(2, field(1, bytes(field(1, 'n'), field(2, operation)))));
    assert.equal((await scanBytes(meta('PyFunc'))).verdict, 'malicious');
    const plain = await scanBytes(meta('MatMul'));
    assert.deepEqual([plain.format, plain.verdict], ['tensorflow-meta', 'clean']);
  });
});

describe('graphs that begin with another field', () => {
  for (const first of ['version: 21', 'saver_def { filename_tensor_name: "a" }', 'debug_info { files: "a" }', `#${' '.repeat(70_000)}`])
    it(first.slice(0, 20), async () => {
      const graph = (operation: string): Buffer => text(`${first}\nnode {\n  name: "n"\n  op: "${operation}"\n}\n`);
      assert.equal((await scanBytes(graph('ReadFile'))).verdict, 'malicious');
      assert.equal((await scanBytes(graph('MatMul'))).verdict, 'clean');
    });
});

describe('every way to write the loader of an MLmodel', () => {
  const forms: readonly ((loader: string) => string)[] = [
    (loader) => `flavors: {python_function: {loader_module: ${loader}}}\n`,
    (loader) => `flavors:\n  python_function:\n    "loader_module": ${loader}\n`,
    (loader) => `flavors:\n  python_function:\n    "\\x6coader_module": ${loader}\n`,
    (loader) => `flavors:\n  python_function:\n    loader_module:\n      ${loader}\n`,
    (loader) => `flavors:\n  python_function:\n    loader_module: !!str ${loader}\n`,
    (loader) => `name: &it ${loader}\nflavors:\n  python_function:\n    loader_module: *it\n`,
    (loader) => `flavors:\n  sklearn:\n    loader_module: mlflow.sklearn\n  python_function:\n    loader_module: ${loader}\n`,
    (loader) => JSON.stringify({ flavors: { python_function: { loader_module: loader } } }),
  ];
  for (const [index, form] of forms.entries())
    it(`form ${index}`, async () => {
      assert.ok(rulesOf(await scanBytes(text(form('evil_loader')))).includes('config-remote-code'));
      assert.equal((await scanBytes(text(form('mlflow.sklearn')))).verdict, 'clean');
    });
});

describe('MLmodel', () => {
  const model = (loader: string): Buffer => text(`flavors:\n  python_function:\n    env: conda.yaml\n    loader_module: ${loader}\n`);
  it('a loader that is not of MLflow is code that comes with the model', async () => {
    assert.equal((await scanBytes(model('mlflow.sklearn'))).verdict, 'clean');
    for (const loader of ['loader', 'acme.mlflow', 'mlflowx.sklearn']) assert.equal((await scanBytes(model(loader))).verdict, 'suspicious');
  });
});

describe('two readings of one content', () => {
  it('a template that reads as Python is judged as a template', async () => {
    const template =
      "{% for message in messages %}{{ message['role'] }}{% endfor %}{{ cycler.__init__.__globals__.os.popen('id').read() }}";
    assert.equal((await scanBytes(text(template))).verdict, 'malicious');
  });
  it('a member whose compression only one directory names is read both ways', async () => {
    const archive = zip([{ name: 'archive/data.pkl', content: EVIL }]);
    archive[archive.indexOf('PK\x01\x02') + 10] = 8;
    assert.equal((await scanBytes(archive)).verdict, 'malicious');
  });
});
