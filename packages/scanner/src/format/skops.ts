import { judge } from '../pickle/policy.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { type Json, objects } from './json.ts';

const CALLING_NODES: ReadonlySet<string> = new Set(['OperatorFuncNode', 'MethodNode']);
/** Types that nodes of skops itself stand for. */
const OWN = /^(builtins (function|method|type|NoneType|builtin_function_or_method)|types |json )/;

/** A skops schema: a tree of nodes that each name a loader, a module and a class. */
export function isSkopsSchema(document: Json): boolean {
  return document instanceof Map && typeof document.get('__loader__') === 'string';
}

/** Every node: what it imports, and whether it calls something (CVE-2025-54412, CVE-2025-54413). */
export function inspectSkops(piece: Piece, document: Json): void {
  for (const node of objects(document)) {
    const loader = node.get('__loader__');
    const module = node.get('__module__');
    const name = node.get('__class__');
    if (typeof loader !== 'string') continue;
    if (CALLING_NODES.has(loader)) piece.report('skops-gadget', `${quote(loader)} calls ${quote(`${String(module)}.${String(name)}`)}`);
    if (typeof module !== 'string' || typeof name !== 'string') continue;
    inspectImport(piece, module, name);
    const content = node.get('content');
    if (loader !== 'FunctionNode' || !(content instanceof Map)) continue;
    const path = content.get('module_path');
    const called = content.get('function');
    if (typeof path === 'string' && typeof called === 'string') inspectImport(piece, path, called);
  }
}

function inspectImport(piece: Piece, module: string, name: string): void {
  if (OWN.test(`${module} ${name}`)) return;
  const { kind } = judge(module, name);
  if (kind === 'denied' || kind === 'dunder') piece.report('skops-gadget', `imports ${quote(`${module}.${name}`)}`);
  else if (kind !== 'allowed') piece.report('skops-unknown', `imports ${quote(`${module}.${name}`)}`);
}
