import { LIBRARIES } from './deny-libraries.ts';

/** What a denied name lets an attacker do. It is part of the message, so that a reader knows why. */
export type Capability =
  | 'runs code'
  | 'reaches the interpreter'
  | 'opens files'
  | 'uses the network'
  | 'loads native code'
  | 'loads a pickle'
  | 'disarms scanners';

export interface Denied {
  readonly capability: Capability;
  /** Modules denied with everything in them and below them. */
  readonly modules: string;
  /** Of modules that are otherwise fine: one `module name name …` a line. */
  readonly names?: string;
}

/**
 * The deny list, by what it gives away. A name that is on it is malicious wherever it stands; being on the allow list as well does not
 * help, but for `EXCEPT`. It catches what is known to be bad and names it; what it misses is still unknown and so reported.
 */
export const DENIED: readonly Denied[] = [
  {
    capability: 'runs code',
    modules:
      'os nt posix posixpath ntpath subprocess _posixsubprocess pty commands popen2 multiprocessing code codeop runpy doctest timeit trace profile cProfile pdb bdb pydoc idlelib lib2to3 unittest test asyncio concurrent threading _thread sched signal _signal atexit webbrowser antigravity venv ensurepip pip setuptools distutils easy_install compileall py_compile pexpect pipes _aix_support _osx_support _pyrepl platform numpy.f2py numpy.distutils numpy.testing torch._dynamo torch._inductor torch.hub torch.jit torch.utils.bottleneck torch.utils.collect_env torch.utils._config_module torch.utils.cpp_extension torch.utils.data.datapipes torch.utils.benchmark torch.utils.hipify torch.utils.model_dump torch.testing torch.distributed torch.multiprocessing torch.package torch.fx.experimental torch.onnx torch._export torch._lobpcg torch.export mlflow IPython jupyter fabric invoke paramiko sh plumbum gevent celery ray dask.distributed tensorflow.python.ops.script_ops sympy.core.sympify sympy.parsing numba jinja2 mako django flask _bootsubprocess cgi cgitb turtle turtledemo tkinter zipapp sysconfig gettext rexec ihooks new cmd rlcompleter pyclbr xmlrunner nose _winapi joblib.externals joblib.testing joblib.pool joblib.func_inspect sklearn.externals.joblib.pool sklearn.utils.discovery sklearn.utils._testing sklearn.utils.estimator_checks sklearn._build_utils skops.utils.importutils pandas.util._print_versions pandas.plotting pandas._config.localization scipy._lib._testutils scipy._lib._ccallback torch.utils.show_pickle torch.utils._cxx_pytree torch.fx.graph_module torch.library readline tty curses annotationlib interpreters dircache macpath',
    names: `builtins eval exec compile __import__ breakpoint input apply execfile reload map filter
__builtin__ eval exec compile __import__ breakpoint apply execfile input reload map filter
types CodeType FunctionType MethodType LambdaType
operator call
_operator call
functools reduce singledispatch
types new_class
builtins help
__builtin__ raw_input
typing ForwardRef _eval_type get_type_hints
dataclasses make_dataclass dataclass _create_fn _process_class _init_fn
weakref finalize
contextlib ExitStack AsyncExitStack contextmanager
warnings _getcategory _processoptions _setoption
locale _print_locale
encodings search_function
itertools starmap
uuid getnode uuid1 main _get_command_stdout _popen _find_mac _find_mac_near_keyword _find_mac_under_heading _find_mac_nextlines _ifconfig_getter _ifconfig_getnode _ip_getter _ip_getnode _arp_getter _arp_getnode _lanscan_getter _lanscan_getnode _netstat_getter _netstat_getnode _load_system_functions
pandas.compat._optional import_optional_dependency
pandas.compat import_optional_dependency
numpy frompyfunc apply_along_axis apply_over_axes piecewise
pandas eval
pandas.core.computation.eval eval
pandas.core.computation.expr Expr
sklearn.utils.parallel _FuncWrapper
torch compile
torch.serialization _legacy_load
torch._C import_ir_module PyTorchFileReader
tensorflow py_function numpy_function
keras.utils.generic_utils func_load
keras.src.utils.python_utils func_load`,
  },
  {
    capability: 'reaches the interpreter',
    modules:
      'sys __builtins__ gc site sitecustomize usercustomize importlib _frozen_importlib _frozen_importlib_external _imp imp pkgutil zipimport modulefinder inspect _interpreters _xxsubinterpreters _xxinterpchannels ast dis symtable traceback linecache _testcapi _testinternalcapi _ctypes_test _sitebuiltins faulthandler tracemalloc',
    names: `builtins getattr setattr delattr vars globals locals dir super property classmethod staticmethod
__builtin__ getattr setattr delattr vars globals locals dir super file open
operator attrgetter itemgetter methodcaller getitem setitem delitem
_operator attrgetter itemgetter methodcaller getitem setitem delitem
types ModuleType DynamicClassAttribute
copyreg add_extension remove_extension pickle constructor
copy_reg add_extension remove_extension pickle constructor
functools cached_property partialmethod`,
  },
  {
    capability: 'opens files',
    modules:
      'shutil tempfile filecmp fileinput glob zipfile tarfile bz2 gzip lzma mmap dbm sqlite3 _sqlite3 shelve difflib logging.handlers logging.config nturl2path _pyio aifc imghdr sndhdr mailbox mailcap netrc quopri sunau wave uu tokenize xml xdrlib fcntl termios resource winreg _winreg msvcrt msilib ossaudiodev crypt spwd mimetypes tabnanny getpass genericpath compression pwd grp nis pandas.io scipy.io scipy.datasets sklearn.datasets numpy.lib.format numpy.lib._format_impl numpy.ma.mrecords joblib.disk joblib._memmapping_reducer joblib.compressor skops.io skops.card skops.cli onnx.external_data_helper onnx.utils onnx.hub onnx.reference onnx.backend h5py._hl.files',
    names: `builtins open
_io FileIO open open_code BufferedReader BufferedWriter TextIOWrapper
io FileIO open open_code BufferedReader BufferedWriter TextIOWrapper
codecs open
logging FileHandler basicConfig
argparse FileType
hashlib file_digest
plistlib readPlist writePlist
contextlib chdir redirect_stdout redirect_stderr
codecs EncodedFile StreamReaderWriter
numpy load fromfile memmap save savez savez_compressed savetxt genfromtxt loadtxt fromregex tofile DataSource open_memmap
numpy.lib.npyio load save savez savetxt loadtxt genfromtxt fromregex NpzFile
numpy.lib._npyio_impl load save savez savetxt loadtxt genfromtxt fromregex NpzFile
numpy.lib.format open_memmap read_array
numpy.core.memmap memmap
numpy.lib._datasource DataSource open Repository
pandas read_csv read_table read_excel read_json read_html read_xml read_sql read_sql_query read_sql_table read_parquet read_orc read_feather read_hdf read_sas read_spss read_stata read_clipboard read_fwf read_gbq to_pickle ExcelFile ExcelWriter HDFStore
pandas.io.parsers.readers read_csv read_table read_fwf
pandas.io.common get_handle urlopen
scipy.io loadmat savemat mmread
scipy.io.matlab loadmat
torch save from_file
torch.storage UntypedStorage.from_file
sklearn.datasets load_files load_svmlight_file fetch_openml
sklearn.datasets._base load_files _fetch_remote
PIL.Image open
configparser ConfigParser.read`,
  },
  {
    capability: 'uses the network',
    modules:
      'socket _socket ssl _ssl socketserver select selectors http httplib urllib urllib2 urllib3 urlparse requests aiohttp httpx ftplib telnetlib smtplib smtpd poplib imaplib nntplib xmlrpc xmlrpclib SimpleXMLRPCServer BaseHTTPServer SimpleHTTPServer wsgiref syslog huggingface_hub websocket websockets boto3 botocore fsspec s3fs gcsfs torch.utils.model_zoo nltk.downloader nltk.data transformers.utils.hub transformers.dynamic_module_utils keras.utils.data_utils keras.src.utils.file_utils',
    names: `tensorflow.keras.utils get_file
keras.utils get_file
torchvision.datasets.utils download_url download_and_extract_archive
datasets load_dataset
nltk download`,
  },
  {
    capability: 'loads native code',
    modules: 'ctypes _ctypes cffi _cffi_backend cython pyximport',
    names: 'torch.ops load_library\ntorch._ops _Ops\nnumpy.ctypeslib load_library',
  },
  {
    capability: 'loads a pickle',
    modules: 'pickle _pickle cPickle pickletools marshal dill cloudpickle jsonpickle yaml shelve _compat_pickle',
    names: `joblib load
joblib.numpy_pickle load _unpickle load_temporary_memmap
pandas read_pickle
pandas.io.pickle read_pickle
pandas.compat.pickle_compat load loads
torch load
torch.serialization load _load
skops.io load loads
mlflow.pyfunc load_model
keras.models load_model
tensorflow.keras.models load_model
tensorflow.saved_model load`,
  },
  { capability: 'disarms scanners', modules: 'picklescan modelscan fickling modelaudit skops.io._audit' },
  ...LIBRARIES,
];

/** Names inside a denied module that plain values import; nothing else of the module is excused. */
export const EXCEPT: string = `
uuid UUID SafeUUID
http HTTPStatus HTTPMethod
torch.distributed.fsdp.api StateDictType
torch.jit._pickle build_boollist build_doublelist build_intlist build_tensor_from_id build_tensorlist restore_type_tag
urllib.parse ParseResult SplitResult
socket AddressFamily SocketKind
signal Signals
`;
