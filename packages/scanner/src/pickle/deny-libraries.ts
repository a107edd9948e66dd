import type { Denied } from './deny.ts';

/**
 * The part of the deny list that is of libraries beside models: what runs commands or code, opens files, reaches the network or unpickles
 * when it is called with what a pickle can hold. Of libraries whose objects honest pickles hold, names alone.
 */
export const LIBRARIES: readonly Denied[] = [
  {
    capability: 'runs code',
    modules:
      'Cython PIL.ImageGrab PIL.ImageMath PIL.ImageShow _pytest pytest accelerate.utils.launch anyio bitsandbytes.cextension click delegator docker envoy eventlet execnet fire git hydra.utils hydra._internal ipykernel jupyter_client nltk.internals numexpr paddle.hub paddle.utils.cpp_extension pandas.util._tester ptyprocess py._process pyautogui pycuda pynput pythoncom scipy.LowLevelCallable scipy.weave scrapy selenium sklearn.utils._show_versions sympy.utilities.lambdify tensorflow.python.framework.load_library tensorflow.python.ops.gen_script_ops theano.gof.cmodule torch.utils.data._utils.worker tornado.process tornado.template trio triton.runtime.build twisted ultralytics.utils.checks werkzeug.debug win32api win32com win32process zope.dottedname',
    names: `cupy RawKernel RawModule ElementwiseKernel ReductionKernel
cupy.core.raw RawKernel RawModule
dask compute persist
dask.base compute persist
fastcore.foundation run
fastcore.xtras run
jax.experimental.host_callback call
joblib Parallel
joblib.parallel BatchedCalls Parallel
keras.layers Lambda
keras.layers.core Lambda
keras.src.layers.core.lambda_layer Lambda
keras.saving deserialize_keras_object
keras.src.saving.serialization_lib deserialize_keras_object
numba cfunc
numpy fromfunction set_string_function
numpy.core.arrayprint set_string_function
numpy.core.numeric fromfunction
numpy._core.numeric fromfunction
numpy.compat.py3k npy_load_module
numpy.compat npy_load_module
numpy.lib.shape_base apply_along_axis apply_over_axes
numpy.lib._shape_base_impl apply_along_axis apply_over_axes
numpy.lib.function_base piecewise
numpy.lib._function_base_impl piecewise
numpy.lib.utils safe_eval
numpy.lib._utils_impl safe_eval
pandas.core.apply frame_apply
patsy.eval EvalEnvironment
pkg_resources EntryPoint load_entry_point run_script
psutil Popen
six exec_
six.moves getoutput
sympy lambdify parse_expr sympify
tensorflow load_library load_op_library
triton.compiler compile
triton.compiler.compiler compile
werkzeug.utils import_string`,
  },
  {
    capability: 'opens files',
    modules:
      'pickleshare smart_open tensorflow.io tensorflow.gfile tensorflow.python.lib.io tensorflow.python.platform.gfile torchvision.io',
    names: `chainer.serializers load_hdf5 load_npz save_hdf5 save_npz
cv2 FileStorage VideoCapture VideoWriter imread imwrite
h5py File
imageio imread imwrite
imageio.v2 imread imwrite
imageio.v3 imread imwrite
joblib dump
joblib._store_backends FileSystemStoreBackend
joblib.memory MemorizedFunc MemorizedResult
joblib.numpy_pickle dump
lightgbm.basic _load_lib
llvmlite.binding load_library_permanently
lxml.etree parse
matplotlib.cbook get_sample_data
matplotlib.pyplot imread imsave savefig
mxnet.library load
numpy._core.memmap memmap
numpy._core.multiarray fromfile
numpy._core.records fromfile
numpy.compat.py3k open_latin1
numpy.core.multiarray fromfile
numpy.core.records fromfile
numpy.lib DataSource
numpy.lib._npyio_impl DataSource
numpy.lib.npyio DataSource
numpy.lib.utils source
numpy.lib._utils_impl source
numpy.ma dump dumps load loads
numpy.ma.core dump dumps load loads
numpy.rec fromfile
onnx load load_model load_tensor save save_model
pyarrow OSFile memory_map
pyarrow.fs LocalFileSystem
pyarrow.parquet ParquetFile read_table
safetensors safe_open
safetensors.numpy load_file save_file
safetensors.torch load_file load_model save_file save_model
scipy.misc imread imsave
scipy.misc.pilutil imread imsave
tables open_file
torch._C PyTorchFileWriter _load_for_lite_interpreter _load_mobile_module_from_file
torch._ops _OpNamespace
torch.classes load_libraries load_library
torch.cuda.memory _dump_snapshot
torch.serialization _legacy_save _open_file _open_zipfile_writer_file _save save
torchaudio load save
xgboost.core _load_lib
zarr load open open_group save`,
  },
  {
    capability: 'uses the network',
    modules:
      'allennlp.common.file_utils azure.identity azure.storage datasets.load flair.file_utils gdown google.cloud mxnet.gluon.utils pycurl pysftp rpyc ultralytics.utils.downloads ultralytics.yolo.utils.downloads wget',
    names: `psycopg2 connect
pymongo MongoClient
pymysql connect
redis Redis
redis.client Redis
spacy.cli download
sqlalchemy create_engine
sqlalchemy.engine.create create_engine
wandb init login
wandb.sdk.wandb_init init`,
  },
  {
    capability: 'loads a pickle',
    modules: 'pyspark.cloudpickle pyspark.serializers statsmodels.iolib.smpickle',
    names: `fastai.learner load_learner
gensim.utils unpickle
keras.engine.saving load_model
keras.saving load_model
keras.src.saving.saving_api load_model
networkx read_gpickle
networkx.readwrite.gpickle read_gpickle
paddle load
ruamel.yaml load unsafe_load
sklearn.externals.joblib Parallel dump load
sklearn.externals.joblib.numpy_pickle _unpickle dump load
spacy.util load_model
tensorflow.python.keras.saving.save load_model`,
  },
];

/** Modules that libraries carry under names of their own: `eventlet.green.subprocess` is `subprocess`. */
export const VENDORED: ReadonlySet<string> = new Set(
  'os posix nt subprocess _posixsubprocess commands popen2 builtins __builtin__ ctypes cloudpickle cPickle importlib urllib urllib.request shutil socket'.split(
    ' ',
  ),
);

/** Last parts of dotted names, in libraries that have such methods: with a path or a code for an argument they reach files, the network or code. */
export const METHODS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [
    'pathlib chmod hardlink_to mkdir open read_bytes read_text rename replace rmdir symlink_to touch unlink write_bytes write_text',
    'numpy dump tofile',
    'pandas eval query to_clipboard to_csv to_excel to_feather to_hdf to_html to_json to_latex to_parquet to_pickle to_sql to_stata',
    'torch evaluate_guards_expression from_file load_config',
    'tensorflow from_file',
    'transformers from_pretrained',
    'diffusers from_pretrained',
    'peft from_pretrained',
    'tokenizers from_file from_pretrained',
    'catboost load_model save_model',
    'xgboost load_model save_model',
    'lightgbm save_model',
    'gensim load save',
    'clearml init',
  ].map((line) => {
    const [root = '', ...methods] = line.split(' ');
    return [root, new Set(methods)] as const;
  }),
);
