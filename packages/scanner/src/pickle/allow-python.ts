/**
 * Names of the standard library that pickles of plain values import, one module a line, Python 2 names included: containers, numbers,
 * dates, paths, identifiers. `functools.partial` builds a callable and does not call it; what it is given is judged by itself.
 */
export const PYTHON: string = `
builtins Ellipsis NotImplemented bool bytearray bytes complex dict float frozenset int list object range reversed set slice str tuple Exception ValueError TypeError KeyError ArithmeticError AssertionError AttributeError BaseException DeprecationWarning EOFError FloatingPointError FutureWarning IOError ImportError IndexError LookupError MemoryError NameError NotImplementedError OSError OverflowError PendingDeprecationWarning ReferenceError RuntimeError RuntimeWarning StopIteration SyntaxError SystemError UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning Warning ZeroDivisionError abs all any bin chr divmod enumerate hash hex isinstance issubclass iter len max min oct ord repr round sorted zip ConnectionError FileExistsError FileNotFoundError ModuleNotFoundError PermissionError RecursionError StopAsyncIteration TimeoutError
__builtin__ Ellipsis NotImplemented basestring bool bytearray bytes complex dict float frozenset int list long object set slice str tuple unicode xrange abs all any bin chr divmod enumerate hash hex isinstance issubclass iter len max min oct ord repr reversed round sorted zip reversed
_codecs encode
copyreg _reconstructor __newobj__ __newobj_ex__
copy_reg _reconstructor __newobj__ __newobj_ex__
collections ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque
_collections OrderedDict defaultdict deque
array array _array_reconstructor
datetime date datetime time timedelta timezone
_pydatetime date datetime time timedelta timezone
decimal Context Decimal Clamped ConversionSyntax DecimalException DivisionByZero DivisionImpossible DivisionUndefined FloatOperation Inexact InvalidContext InvalidOperation Overflow Rounded Subnormal Underflow
_pydecimal Decimal
fractions Fraction
uuid SafeUUID UUID
pathlib Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath
pathlib._local Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath
ipaddress IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network
zoneinfo ZoneInfo
functools partial
types SimpleNamespace GenericAlias
time struct_time
random Random
re _compile
math ceil exp floor log log10 log1p log2 sqrt cos erf fabs fsum gamma hypot lgamma sin tan tanh
string Template
http HTTPStatus HTTPMethod
enum Enum Flag IntEnum IntFlag
argparse Namespace
logging Logger getLogger
pytz UTC _UTC _p
pytz.tzinfo DstTzInfo StaticTzInfo
dateutil.tz.tz tzlocal tzutc
dateutil.relativedelta relativedelta
exceptions ArithmeticError AssertionError AttributeError BaseException DeprecationWarning EOFError Exception FloatingPointError FutureWarning IOError ImportError IndexError KeyError LookupError MemoryError NameError NotImplementedError OSError OverflowError PendingDeprecationWarning ReferenceError RuntimeError RuntimeWarning StopIteration SyntaxError SystemError TypeError UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning ValueError Warning ZeroDivisionError StandardError EnvironmentError
UserDict IterableUserDict UserDict
UserList UserList
UserString UserString
statistics NormalDist
`;
