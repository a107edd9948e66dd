import { isAlias, isScalar, parseDocument, visit } from 'yaml';
import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

/** Read as YAML; what is longer is read by its lines. */
const PARSED = 2 ** 16;
const LONGEST = 2 ** 20;
/** Either key as it is, or one written with escapes. */
const MENTIONED = /flavors|loader_module|"[^"\n]{0,256}\\[xuU][^"\n]{0,256}"\s{0,16}:/;
const LOADER = /^[ \t]+loader_module[ \t]*:[ \t]*["']?([\w.]+)/gm;

/**
 * An MLmodel file (MLflow, flavor python_function), YAML or JSON: `loader_module` is what MLflow imports to load the model, one of its own
 * modules or code that comes with the model.
 */
export function inspectMlflow(piece: Piece): void {
  const { source } = piece;
  const text = source.read(0, LONGEST).toString('utf8');
  if (!MENTIONED.test(text)) return;
  const loaders = /^flavors[ \t]*:/m.test(text) ? [...text.matchAll(LOADER)].map((match) => match[1] ?? '') : [];
  if (source.size > PARSED && loaders.length === 0 && /\bflavors\b/.test(text) && /\bloader_module["']?\s*:/.test(text))
    piece.report('limit-document', 'a description of a model in a form that is not read at this length');
  let flavors = false;
  const read: string[] = [];
  const anchors = new Map<string, unknown>();
  const resolved = (node: unknown): unknown => (isAlias(node) ? anchors.get(node.source) : node);
  try {
    visit(parseDocument(source.size > PARSED ? '' : text, { uniqueKeys: false, logLevel: 'silent' }), {
      Node(_, node) {
        if (!isAlias(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
      },
      Pair(_, { key, value }) {
        piece.run.spend(COST.field);
        const name = resolved(key);
        if (!isScalar(name)) return;
        flavors ||= name.value === 'flavors';
        if (name.value !== 'loader_module') return;
        const module = resolved(value);
        read.push(isScalar(module) && typeof module.value === 'string' ? module.value : '?');
      },
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    piece.report('limit-depth', 'YAML nests deeper than is looked into');
  }
  for (const loader of new Set(flavors ? [...loaders, ...read] : loaders))
    if (!loader.startsWith('mlflow.')) piece.report('config-remote-code', `MLflow loads the model by the module ${quote(loader)}`);
}
