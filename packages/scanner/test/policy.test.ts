import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge } from '../src/pickle/policy.ts';
import { bytes, callPickle, pk, rulesOf, scanBytes } from './writers.ts';

/** Ways to code, files and the network that lie in libraries: one a line, `module name`. */
const GADGETS: Readonly<Record<string, readonly string[]>> = {
  'copies of the standard library inside others': [
    'six.moves.builtins eval',
    'eventlet.green.os system',
    'eventlet.green.subprocess Popen',
    'future.moves.subprocess getoutput',
    'past.builtins execfile',
    'pyspark.cloudpickle loads',
  ],
  'joblib under its old names': [
    'sklearn.externals.joblib load',
    'sklearn.externals.joblib.numpy_pickle load',
    'joblib.parallel BatchedCalls',
    'joblib.numpy_pickle dump',
  ],
  'files of NumPy, pandas and SciPy': [
    'numpy._core.records fromfile',
    'numpy.core.multiarray fromfile',
    'numpy._core.memmap memmap',
    'numpy.compat.py3k npy_load_module',
    'numpy.lib.npyio DataSource',
    'numpy ndarray.tofile',
    'pandas.core.frame DataFrame.to_pickle',
    'pandas.core.generic NDFrame.to_csv',
    'scipy.misc imread',
  ],
  'methods of paths': ['pathlib Path.write_bytes', 'pathlib Path.touch', 'pathlib PosixPath.read_bytes', 'pathlib Path.rename'],
  'PyTorch, TensorFlow and Keras': [
    'torch.serialization save',
    'torch._C PyTorchFileWriter',
    'torch FloatStorage.from_file',
    'torch.classes load_library',
    'tensorflow.io.gfile GFile',
    'tensorflow load_op_library',
    'keras.src.saving.saving_api load_model',
    'keras.layers Lambda',
    'transformers AutoModel.from_pretrained',
  ],
  'modules of the standard library that few lists have': [
    'readline read_init_file',
    'mimetypes read_mime_types',
    'argparse FileType',
    'hashlib file_digest',
    'contextlib redirect_stdout',
    'annotationlib ForwardRef',
    'genericpath getsize',
    'tabnanny check',
  ],
  'what runs code or reaches the network elsewhere': [
    'numexpr evaluate',
    'sympy.utilities.lambdify lambdify',
    'PIL.ImageMath eval',
    'Cython.Build.Inline cython_inline',
    'hydra.utils instantiate',
    'ptyprocess PtyProcess.spawn',
    'git.cmd Git.execute',
    'werkzeug.utils import_string',
    'zope.dottedname.resolve resolve',
    'sqlalchemy create_engine',
    'wget download',
    'redis Redis',
  ],
};

/** What fitted estimators, frames and distributions of old and new releases import. */
const HONEST: Readonly<Record<string, readonly string[]>> = {
  'scikit-learn before 0.22': [
    'sklearn.decomposition.nmf NMF',
    'sklearn.ensemble.weight_boosting AdaBoostClassifier',
    'sklearn.feature_selection.univariate_selection SelectKBest',
    'sklearn.gaussian_process.gpr GaussianProcessRegressor',
    'sklearn.grid_search GridSearchCV',
    'sklearn.externals.joblib.numpy_pickle NumpyArrayWrapper',
  ],
  SciPy: [
    'scipy.special._special_ufuncs expit',
    'scipy.stats._multivariate multivariate_normal_frozen',
    'scipy.stats._continuous_distns rv_histogram',
    'scipy.spatial.transform._rotation Rotation',
    'scipy.stats._qmc Sobol',
  ],
  'NumPy and pandas': [
    'numpy.char chararray',
    'numpy._core._internal _convert_to_stringdtype_kwargs',
    'pandas._libs.tslibs.offsets CustomBusinessDay',
  ],
  Python: ['builtins len', 'exceptions ValueError', 'UserDict IterableUserDict', 'decimal InvalidOperation', 'statistics NormalDist'],
};

function split(name: string): [string, string] {
  const space = name.indexOf(' ');
  return [name.slice(0, space), name.slice(space + 1)];
}

describe('the deny list', () => {
  for (const [what, names] of Object.entries(GADGETS)) {
    it(`${what}`, async () => {
      for (const name of names) {
        const report = await scanBytes(callPickle(...split(name)));
        assert.equal(report.verdict, 'malicious', name);
        assert.ok(rulesOf(report).includes('pickle-dangerous-call'), name);
      }
    });
  }
  it('a module or a method of somebody that is called alike is unknown, not denied', () => {
    for (const name of [
      'acme.os.paths Path',
      'acme.urllib3x Thing',
      'acme.models Model.load',
      'acme.io Writer.write_text',
      'keras.src.saving.keras_saveable KerasSaveable',
    ])
      assert.notEqual(judge(...split(name)).kind, 'denied', name);
  });
});

describe('the allow list', () => {
  for (const [what, names] of Object.entries(HONEST)) {
    it(`${what}`, async () => {
      for (const name of names) {
        const report = await scanBytes(bytes(pk.proto(4), pk.stackGlobal(...split(name)), ')', 0x81, '.'));
        assert.equal(report.verdict, 'clean', name);
      }
    });
  }
  it('nothing is on both lists', async () => {
    const { NUMERIC } = await import('../src/pickle/allow-numeric.ts');
    const { PYTHON } = await import('../src/pickle/allow-python.ts');
    const { SKLEARN } = await import('../src/pickle/allow-sklearn.ts');
    const { TORCH } = await import('../src/pickle/allow-torch.ts');
    for (const line of [NUMERIC, PYTHON, SKLEARN, TORCH].join('\n').split('\n')) {
      const [module = '', ...names] = line.split(' ');
      for (const name of names) assert.equal(judge(module, name).kind, 'allowed', `${module} ${name}`);
    }
  });
  it('functions of arrays and numbers may be kept; calling one while loading is reported', async () => {
    for (const name of ['numpy clip', 'numpy.linalg norm', 'builtins sum']) {
      const global = pk.stackGlobal(...split(name));
      assert.equal((await scanBytes(bytes(pk.proto(4), global, '.'))).verdict, 'clean', name);
      assert.equal((await scanBytes(bytes(pk.proto(4), global, '(K', 1, 'K', 2, 'tR.'))).verdict, 'suspicious', name);
      assert.equal((await scanBytes(bytes(pk.proto(4), global, ')', 0x81, '.'))).verdict, 'suspicious', name);
    }
  });
  it('a method of an allowed class of SciPy may be kept, and is reported where it is called', async () => {
    const method = pk.stackGlobal('scipy.interpolate._interpolate', 'interp1d._call_linear_np');
    assert.equal((await scanBytes(bytes(pk.proto(4), method, '.'))).verdict, 'clean');
    assert.equal((await scanBytes(bytes(pk.proto(4), method, ')R.'))).verdict, 'suspicious');
    const global = pk.stackGlobal('scipy.interpolate._interpolate', 'interp1d.__init__.__globals__');
    assert.equal((await scanBytes(bytes(pk.proto(4), global, '.'))).verdict, 'malicious');
  });
});
