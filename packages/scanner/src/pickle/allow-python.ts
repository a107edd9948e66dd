/**
 * Names of the standard library that pickles of plain values import, one module a line, Python 2 names included: containers, numbers,
 * dates, paths, identifiers. `functools.partial` builds a callable and does not call it; what it is given is judged by itself.
 */
export const PYTHON: string = `
builtins Ellipsis NotImplemented bool bytearray bytes complex dict float frozenset int list object range reversed set slice str tuple Exception ValueError TypeError KeyError
__builtin__ Ellipsis NotImplemented basestring bool bytearray bytes complex dict float frozenset int list long object set slice str tuple unicode xrange
_codecs encode
copyreg _reconstructor __newobj__ __newobj_ex__
copy_reg _reconstructor __newobj__ __newobj_ex__
collections ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque
_collections OrderedDict defaultdict deque
array array _array_reconstructor
datetime date datetime time timedelta timezone
_pydatetime date datetime time timedelta timezone
decimal Context Decimal
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
math ceil exp floor log log10 log1p log2 sqrt
string Template
http HTTPStatus HTTPMethod
enum Enum Flag IntEnum IntFlag
argparse Namespace
logging Logger getLogger
pytz UTC _UTC _p
pytz.tzinfo DstTzInfo StaticTzInfo
dateutil.tz.tz tzlocal tzutc
dateutil.relativedelta relativedelta
`;
