import type { FileVerdict, ScanSeverity } from './report.ts';

/** Changes whenever a rule or one of its lists does, so that a verdict says by which rules it was reached. */
export const RULES_VERSION = '2026.11.6';

/** What a finding of this rule means. `verdict` is the least the file gets; `clean` is for what is worth knowing and no more. */
export interface Rule {
  readonly severity: ScanSeverity;
  readonly verdict: FileVerdict;
  readonly explanation: string;
  /** Identifiers separated by spaces. */
  readonly cve?: string;
  /** First version of a loader that is not fooled by this. */
  readonly loader?: string;
}

export const RULES = {
  'pickle-dangerous-call': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'Loading this pickle calls a function that runs code, opens files or reaches the network.',
  },
  'pickle-dangerous-import': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'Loading this pickle imports something no model needs and an attack does.',
  },
  'pickle-computed-name': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'The name of what is imported is computed while loading; no pickler writes that, it only hides the name.',
  },
  'pickle-build-on-global': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'State is written into an imported function, class or module instead of a new object, which rewires the library itself.',
  },
  'pickle-dunder-attribute': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A double-underscore attribute is imported: the way from a harmless name to the interpreter.',
  },
  'pickle-dotted-name': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'The imported name has dots: it walks through attributes to something other than what the module is trusted for.',
  },
  'pickle-unknown-import': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Imports a name that is neither known to be harmless nor known to be dangerous. Review it, or load in a sandbox.',
  },
  'pickle-unknown-call': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Calls a name that is neither known to be harmless nor known to be dangerous. Review it, or load in a sandbox.',
  },
  'pickle-filled-tensor': {
    severity: 'high',
    verdict: 'suspicious',
    explanation:
      'Items are put into a tensor as if it were a list or a dict, which no pickler writes; loaders have had memory faults here.',
    cve: 'CVE-2026-24747',
    loader: 'torch 2.10.0',
  },
  'pickle-computed-call': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'Calls the result of another call, so what runs cannot be named without running it.',
  },
  'pickle-nested-load': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Loading this pickle loads another one that is held in it as bytes. The inner one was scanned as well.',
  },
  'pickle-extension': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'Uses the extension registry: what is imported depends on the process that loads.',
  },
  'pickle-persistent-id': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Asks the loader for a persistent object outside a PyTorch container.',
  },
  'pickle-frame': {
    severity: 'high',
    verdict: 'suspicious',
    explanation:
      'A frame ends inside an instruction: loaders disagree about what follows (python/cpython#154848). Both readings were scanned.',
  },
  'pickle-protocol': {
    severity: 'medium',
    verdict: 'malformed',
    explanation: 'A protocol marker stands in the middle, or names no protocol.',
  },
  'pickle-broken': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'The instruction stream breaks off or is invalid. What stands before the break is run by a loader all the same.',
  },
  'pickle-expansion': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'Shared parts unfold into an object too large to walk: a bomb for whatever traverses it.',
  },
  'pickle-memo': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'A memo index far beyond what the stream uses makes a loader allocate for it.',
  },
  'pickle-leftover': {
    severity: 'medium',
    verdict: 'malformed',
    explanation: 'Values are left over when loading ends: built for their effect or their size, not for a result.',
  },
  'pickle-trailing': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Bytes after the last pickle are not a pickle. They were searched.',
  },
  'pickle-torch-tar': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A PyTorch file in the tar format of early releases runs code when it is loaded, and weights_only did not prevent that.',
    cve: 'CVE-2025-32434',
    loader: 'torch 2.6.0',
  },
  'pickle-hidden': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A pickle with a dangerous call lies where no pickle belongs.',
  },
  'joblib-filename': { severity: 'high', verdict: 'malicious', explanation: 'A joblib array names a file outside its own directory.' },

  'zip-mismatch': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'The two directories of the archive disagree; loaders follow different ones.',
    cve: 'CVE-2025-1944 CVE-2025-1945 CVE-2025-10156',
  },
  'zip-checksum': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'A checksum is wrong. PyTorch ignores it and loads; most scanners stop.',
    cve: 'CVE-2025-10156',
  },
  'zip-duplicate': { severity: 'high', verdict: 'suspicious', explanation: 'Two members have one name; loaders take different ones.' },
  'zip-overlap': { severity: 'high', verdict: 'malformed', explanation: 'Members overlap: a bomb, or one content under two names.' },
  'zip-hidden': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'Bytes before, between or after the members of an archive, or a second archive.',
  },
  'zip-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The archive cannot be read as its directory says.' },
  'archive-encrypted': { severity: 'medium', verdict: 'inconclusive', explanation: 'A member is encrypted and cannot be looked into.' },
  'archive-traversal': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A member would be written outside the directory it is unpacked into.',
  },
  'archive-link': { severity: 'critical', verdict: 'malicious', explanation: 'A link in the archive leads outside of it.' },
  'archive-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The archive or compressed stream is damaged.' },
  'archive-method': { severity: 'low', verdict: 'not-scanned', explanation: 'Compressed by a method that is not supported.' },
  'limit-depth': { severity: 'medium', verdict: 'inconclusive', explanation: 'Containers nest deeper than is looked into.' },
  'limit-entries': { severity: 'high', verdict: 'malformed', explanation: 'More entries than are looked at.' },
  'limit-ratio': { severity: 'high', verdict: 'malformed', explanation: 'Decompresses to far more than any model does: a bomb.' },
  'limit-expanded': { severity: 'high', verdict: 'inconclusive', explanation: 'Decompresses to more than is looked at.' },
  'limit-time': { severity: 'medium', verdict: 'inconclusive', explanation: 'The time allowed for one file ran out.' },
  'limit-work': {
    severity: 'medium',
    verdict: 'inconclusive',
    explanation: 'Takes more steps than are taken for one file: millions of imports, fields, pickles or findings.',
  },
  'limit-document': { severity: 'medium', verdict: 'inconclusive', explanation: 'A document is larger than is read.' },
  'limit-values': { severity: 'medium', verdict: 'inconclusive', explanation: 'A pickle holds more values at once than are followed.' },
  'scan-lost': { severity: 'medium', verdict: 'inconclusive', explanation: 'The scan of this file broke off: out of memory, or a defect.' },
  'source-unreadable': { severity: 'medium', verdict: 'inconclusive', explanation: 'The file could not be read.' },
  'source-partial': {
    severity: 'medium',
    verdict: 'inconclusive',
    explanation: 'Only parts of a remote file were fetched: what is in them was judged, the rest may hold anything.',
  },
  'format-unsupported': { severity: 'low', verdict: 'not-scanned', explanation: 'A known format that this scanner does not read.' },
  'format-opaque': {
    severity: 'info',
    verdict: 'clean',
    explanation: 'No model format. Searched byte by byte for pickles, archives and programs.',
  },

  'numpy-header': { severity: 'critical', verdict: 'malicious', explanation: 'The array header is not a literal but an expression.' },
  'numpy-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The array header is invalid or does not fit the file.' },
  'safetensors-broken': { severity: 'high', verdict: 'malformed', explanation: 'The header breaks a rule of the format.' },
  'safetensors-hidden': { severity: 'high', verdict: 'malformed', explanation: 'Bytes that belong to no tensor.' },
  'safetensors-names': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'Tensor names that have a meaning of their own in JavaScript or Python objects.',
  },
  'index-traversal': { severity: 'critical', verdict: 'malicious', explanation: 'The shard index names files outside the model.' },
  'index-pickle': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'The index of a safetensors model leads to a shard in a format that can run code.',
  },
  'gguf-broken': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'The file breaks a rule of the format; loaders have had memory faults here.',
    cve: 'CVE-2024-21802 CVE-2024-21825 CVE-2024-21836 CVE-2024-23496 CVE-2024-23605 CVE-2026-7482',
  },
  'gguf-version': { severity: 'low', verdict: 'inconclusive', explanation: 'A version or byte order that current loaders refuse.' },
  'gguf-hidden': { severity: 'high', verdict: 'malformed', explanation: 'Bytes that belong to no tensor.' },

  'template-injection': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'The chat template reaches for the interpreter behind the template engine.',
    cve: 'CVE-2024-34359',
    loader: 'llama-cpp-python 0.2.72',
  },
  'template-bomb': { severity: 'high', verdict: 'malformed', explanation: 'Rendering the template would not end in reasonable time.' },
  'template-behaviour': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'The template adds text of its own depending on what was said: a back door at inference time.',
  },
  'template-hidden-text': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'The template holds invisible or direction-changing characters.',
  },
  'template-unparsed': {
    severity: 'medium',
    verdict: 'inconclusive',
    explanation: 'The template could not be parsed, so only its words were looked at.',
  },
  'config-remote-code': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'The configuration makes a loader import Python code that comes with the model (auto_map, trust_remote_code).',
  },
  'config-target': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A configuration names a dangerous function to be instantiated.',
    cve: 'CVE-2025-23304',
    loader: 'nemo_toolkit 2.3.2',
  },
  'config-unknown-target': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'A configuration names an unknown function to be instantiated.',
  },
  'python-dangerous': {
    severity: 'high',
    verdict: 'suspicious',
    explanation: 'Python code that runs commands or code or reaches the network when it is imported, or that comes inside a model.',
  },
  'json-broken': { severity: 'info', verdict: 'clean', explanation: 'Looks like JSON and is not; it was read as text.' },
  'json-duplicate': {
    severity: 'medium',
    verdict: 'malformed',
    explanation: 'A key stands twice in one object: parsers differ in which of them they take.',
  },
  'json-depth': { severity: 'medium', verdict: 'malformed', explanation: 'JSON nested deeper than any real document.' },

  'keras-lambda': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A Lambda layer holds Python byte code that runs on load or on use.',
    cve: 'CVE-2024-3660',
    loader: 'keras 2.13.1',
  },
  'keras-gadget': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'The configuration makes Keras import and call something that is not a layer.',
    cve: 'CVE-2025-1550',
    loader: 'keras 3.9.0',
  },
  'keras-file-access': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A layer reads a file or an address that the configuration names.',
    cve: 'CVE-2025-12058',
    loader: 'keras 3.12.0',
  },
  'keras-custom': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'A class from outside Keras must be registered to load this model.',
  },
  'hdf5-external': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'The HDF5 file draws data from another file by an external link or storage.',
    cve: 'CVE-2026-1669',
    loader: 'keras 3.13.2',
  },
  'hdf5-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The HDF5 structure is invalid.' },
  'tensorflow-operation': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'The graph reads or writes files or runs Python.',
  },
  'tensorflow-suspicious': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'The graph holds an operation that touches the host or is not part of TensorFlow.',
  },
  'paddle-operation': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'An operator of a PaddlePaddle program reads or writes a file outside the model.',
  },
  'paddle-suspicious': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'An operator of a PaddlePaddle program uses files, Python or the network.',
  },
  'mxnet-custom-operator': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'An operator of an MXNet graph is a Python function of the program that loads it.',
  },
  'rds-promise': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A value of an R file is a promise: its code runs as soon as the value is looked at.',
    cve: 'CVE-2024-27322',
    loader: 'R 4.4.0',
  },
  'rds-inner-promise': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'An object of an R file holds a promise where R itself keeps none: its code runs when that part is looked at.',
    cve: 'CVE-2024-27322',
    loader: 'R 4.4.0',
  },
  'rds-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The R serialisation is invalid.' },
  'catboost-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The CatBoost model is cut off.' },
  'onnx-external-data': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'External data leads outside the directory of the model.',
    cve: 'CVE-2022-25882 CVE-2024-27318 CVE-2025-51480',
    loader: 'onnx 1.21.0',
  },
  'onnx-linked-data': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'External data is reached through a link that leads outside the directory of the model.',
    cve: 'CVE-2026-27489 CVE-2026-34447',
    loader: 'onnx 1.21.0',
  },
  'onnx-hard-link': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'External data is a file that has another name somewhere else: it may be of anybody, and whoever writes there changes it.',
    cve: 'CVE-2026-34446',
    loader: 'onnx 1.21.0',
  },
  'onnx-external-size': {
    severity: 'medium',
    verdict: 'malformed',
    explanation: 'External data reaches beyond the end of its file.',
  },
  'onnx-operator': { severity: 'critical', verdict: 'malicious', explanation: 'An operator runs Python code.' },
  'onnx-custom-operator': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'An operator of an unknown domain needs a native library to run.',
  },
  'protobuf-broken': { severity: 'medium', verdict: 'malformed', explanation: 'The message breaks the encoding.' },
  'protobuf-depth': {
    severity: 'high',
    verdict: 'malformed',
    explanation: 'Messages nest deeper than any real model: a bomb for recursive parsers.',
  },
  'tflite-custom-operator': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'A custom or Flex operator needs code from outside the runtime.',
  },
  'torchscript-operator': { severity: 'medium', verdict: 'suspicious', explanation: 'TorchScript code that reads or writes files.' },
  'native-code': { severity: 'high', verdict: 'suspicious', explanation: 'Native code or a library that is loaded with the model.' },
  'native-program': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A program that runs when the file is started, carrying model data.',
  },
  'xml-external': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'An external entity makes an XML parser read a file or an address.',
  },
  'xml-reference': {
    severity: 'medium',
    verdict: 'suspicious',
    explanation: 'An XML parser may fetch a document type from an unknown address, or text out of a file beside the document.',
  },
  'xml-expansion': { severity: 'high', verdict: 'malformed', explanation: 'Entities that expand into one another: a bomb.' },
  'xml-library': { severity: 'high', verdict: 'suspicious', explanation: 'The model description names a library to load.' },
  'xml-broken': { severity: 'low', verdict: 'malformed', explanation: 'Not well-formed.' },
  'skops-gadget': {
    severity: 'critical',
    verdict: 'malicious',
    explanation: 'A skops node calls an arbitrary function or method.',
    cve: 'CVE-2025-54412 CVE-2025-54413 CVE-2025-54886',
    loader: 'skops 0.13.0',
  },
  'skops-unknown': { severity: 'medium', verdict: 'suspicious', explanation: 'A skops node imports an unknown type.' },
  'executable-script': { severity: 'high', verdict: 'suspicious', explanation: 'A script that an interpreter runs.' },
} as const;

export type RuleId = keyof typeof RULES;

/** A rule by id, for reports: SARIF, tables, documentation. */
export function findRule(id: string): Rule | null {
  return Object.hasOwn(RULES, id) ? RULES[id as RuleId] : null;
}
