import type { AdvisoryId } from '../advisories.ts';
import { judge } from '../pickle/policy.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { bufferSource } from '../source.ts';
import { at, type Json, type JsonMap, objects } from './json.ts';

const KERAS = /^(keras|tf_keras|tensorflow|tensorflow\.python\.keras)(\.|$)/;
/** Where the functions live that a layer may name: activations, losses and the like. */
const FUNCTION_MODULES =
  /^(keras|tf_keras|tensorflow\.keras|keras\.src|tensorflow\.python\.keras)(\.src)?(\.api)?\.(activations|initializers|regularizers|constraints|losses|metrics|ops|backend|layers|optimizers|nn)(\.|$)/;
/** Functions of Keras that fetch, load or disarm: the gadgets of the published bypasses. */
const GADGETS =
  /^(get_file|enable_unsafe_deserialization|disable_unsafe|load_model|load_img|func_load|deserialize_keras_object|model_from_(json|config|yaml)|from_config|save_img|image_dataset_from_directory|text_dataset_from_directory|load_data)$/;
/** Gadgets that an advisory is about; whatever else a configuration imports is CVE-2025-1550. */
const BYPASSES: ReadonlyMap<string, AdvisoryId> = new Map([
  ['get_file', 'CVE-2025-8747'],
  ['enable_unsafe_deserialization', 'CVE-2025-9906'],
  ['load_model', 'CVE-2025-9906'],
]);
const LOOKUPS = /^(StringLookup|IntegerLookup|IndexLookup|TextVectorization)$/;
const KNOWN_PACKAGES = /^(keras|keras_hub|keras_nlp|keras_cv|keras_rs|tf_keras|Addons|TFOpLambda)>/i;

/** A Keras configuration is an object with a class name and a configuration. */
export function isKerasConfig(document: Json): document is JsonMap {
  return document instanceof Map && typeof document.get('class_name') === 'string' && document.has('config');
}

/**
 * Every object of a Keras configuration at every depth: what makes a loader run code, open a file, or import a class of somebody's. `lambda` is
 * the advisory on byte code in this kind of file.
 */
export async function inspectKeras(piece: Piece, document: Json, offset: number = 0, lambda?: AdvisoryId): Promise<void> {
  for (const node of objects(document)) {
    const name = node.get('class_name');
    if (typeof name === 'string') await inspectObject(piece, node, name, offset, lambda);
  }
}

async function inspectObject(piece: Piece, node: JsonMap, name: string, offset: number, lambda?: AdvisoryId): Promise<void> {
  const module = node.get('module');
  const config = node.get('config');
  if (name === '__lambda__') piece.report('keras-lambda', 'a function is kept as Python byte code', offset, lambda);
  else if (name === 'Lambda') inspectLambda(piece, config, offset, lambda);
  else if (name === 'TorchModuleWrapper') await inspectTorch(piece, config, offset);
  else if (name === 'function') inspectFunction(piece, module, config, node.get('registered_name'), offset);
  else if (typeof module === 'string' && !KERAS.test(module) && module !== 'builtins') inspectModule(piece, module, name, offset);
  const registered = node.get('registered_name');
  if (typeof registered === 'string' && registered.includes('>') && !KNOWN_PACKAGES.test(registered))
    piece.report('keras-custom', `needs the registered class ${quote(registered)}`, offset);
  inspectFiles(piece, name, config, offset);
}

/** A Lambda of an older file keeps its byte code as the first of a list; one that names a function of Keras is judged as that function. */
function inspectLambda(piece: Piece, config: Json | undefined, offset: number, advisory?: AdvisoryId): void {
  const lambda = at(config, 'function');
  if (lambda instanceof Map && lambda.get('class_name') === 'function') return;
  piece.report('keras-lambda', 'a Lambda layer runs Python byte code of its own', offset, advisory);
}

async function inspectTorch(piece: Piece, config: Json | undefined, offset: number): Promise<void> {
  piece.report('keras-gadget', 'TorchModuleWrapper loads a pickle', offset, 'CVE-2025-49655');
  const module = at(config, 'module');
  if (typeof module !== 'string') return;
  await piece.inside(bufferSource(Buffer.from(module, 'base64')), `${piece.name}!TorchModuleWrapper`, null, 'torch').scan();
}

function inspectFunction(
  piece: Piece,
  module: Json | undefined,
  config: Json | undefined,
  registered: Json | undefined,
  offset: number,
): void {
  const names = [config, registered, at(config, 'name')].filter((name) => typeof name === 'string');
  const from = typeof module === 'string' ? module : 'builtins';
  for (const name of names) {
    if (GADGETS.test(name) || judge(from, name).kind === 'denied') {
      piece.report('keras-gadget', `calls ${quote(`${from}.${name}`)}`, offset, BYPASSES.get(name));
      return;
    }
  }
  if (typeof module === 'string' && !FUNCTION_MODULES.test(module) && module !== 'builtins') {
    if (KERAS.test(module)) piece.report('keras-gadget', `calls ${quote(`${module}.${names[0] ?? ''}`)}`, offset);
    else piece.report('keras-custom', `calls ${quote(`${module}.${names[0] ?? ''}`)}`, offset);
  }
}

function inspectModule(piece: Piece, module: string, name: string, offset: number): void {
  if (judge(module, name).kind === 'denied') piece.report('keras-gadget', `imports ${quote(`${module}.${name}`)}`, offset);
  else piece.report('keras-custom', `imports ${quote(`${module}.${name}`)}`, offset);
}

function inspectFiles(piece: Piece, name: string, config: Json | undefined, offset: number): void {
  const vocabulary = at(config, 'vocabulary');
  if (LOOKUPS.test(name) && typeof vocabulary === 'string')
    piece.report('keras-file-access', `${quote(name)} reads its vocabulary from ${quote(vocabulary)}`, offset);
  const file = at(config, 'filepath');
  if (name === 'TFSMLayer' && typeof file === 'string')
    piece.report('keras-file-access', `TFSMLayer loads ${quote(file)}`, offset, 'CVE-2026-1462');
}
