import { KEPT } from './allow-kept.ts';
import { NUMERIC } from './allow-numeric.ts';
import { PYTHON } from './allow-python.ts';
import { SKLEARN } from './allow-sklearn.ts';
import { TORCH } from './allow-torch.ts';
import { type Capability, DENIED, EXCEPT } from './deny.ts';
import { METHODS, VENDORED } from './deny-libraries.ts';

/** What an imported name is: on the deny list, exactly on the allow list, or neither. */
export type Judgement =
  | { readonly kind: 'denied'; readonly capability: Capability }
  /** `kept`: to be imported, not to be called while loading. */
  | { readonly kind: 'allowed'; readonly kept: boolean }
  | { readonly kind: 'dunder' }
  | { readonly kind: 'dotted' }
  | { readonly kind: 'unknown' };

const ALLOWED: ReadonlyMap<string, ReadonlySet<string>> = byModule([PYTHON, NUMERIC, SKLEARN, TORCH].join('\n'));
const HELD: ReadonlyMap<string, ReadonlySet<string>> = byModule(KEPT);
const EXCUSED: ReadonlyMap<string, ReadonlySet<string>> = byModule(EXCEPT);
const DENIED_MODULES: ReadonlyMap<string, Capability> = new Map(
  DENIED.flatMap(({ capability, modules }) => modules.split(' ').map((module) => [module, capability] as const)),
);
const DENIED_NAMES: ReadonlyMap<string, Capability> = new Map(
  DENIED.flatMap(({ capability, names = '' }) =>
    [...byModule(names)].flatMap(([module, set]) => [...set].map((name) => [`${module} ${name}`, capability] as const)),
  ),
);

/** First parts of the modules of which anything is denied. */
export const DENIED_ROOTS: ReadonlySet<string> = new Set(
  [...DENIED_MODULES.keys(), ...DENIED_NAMES.keys()].map((key) => key.split(/[. ]/, 1)[0] ?? ''),
);

const ALLOW: Judgement = { kind: 'allowed', kept: false };
const KEEP: Judgement = { kind: 'allowed', kept: true };
const UNKNOWN: Judgement = { kind: 'unknown' };
const DOTTED: Judgement = { kind: 'dotted' };
const DUNDER: Judgement = { kind: 'dunder' };
/** Files import the same few names over and over. */
const JUDGED = new Map<string, Judgement>();
const JUDGED_KEPT = 1024;
const CYTHON = '__pyx_unpickle_';

/**
 * Judges one imported name. Deny beats allow; an allowed name matches exactly, never by prefix, never with a dot in it and never with
 * double underscores at both ends. A dot walks through attributes, so each component is held against the denied modules as well.
 */
export function judge(module: string, name: string): Judgement {
  // The length keeps two splits of one text apart.
  const key = `${module.length} ${module} ${name}`;
  let judgement = JUDGED.get(key);
  if (judgement === undefined) {
    judgement = decide(module, name);
    if (JUDGED.size >= JUDGED_KEPT) JUDGED.clear();
    JUDGED.set(key, judgement);
  }
  return judgement;
}

function decide(module: string, name: string): Judgement {
  const denied = deniedModule(module) ?? DENIED_NAMES.get(`${module} ${name}`);
  if (denied !== undefined && EXCUSED.get(module)?.has(name) !== true) return { kind: 'denied', capability: denied };
  const vendored = decideVendored(module, name);
  if (vendored !== null) return vendored;
  const parts = name.split('.');
  if (parts.length > 1 && METHODS.get(module.split('.', 1)[0] ?? '')?.has(parts[parts.length - 1] ?? '') === true)
    return { kind: 'denied', capability: 'opens files' };
  for (let count = 0; parts.length > 1 && count < parts.length; count += 1) {
    const part = parts[count] ?? '';
    const through =
      DENIED_MODULES.get(part) ?? DENIED_NAMES.get(`builtins ${part}`) ?? deniedModule([module, ...parts.slice(0, count + 1)].join('.'));
    if (through !== undefined) return { kind: 'denied', capability: through };
  }
  if (parts.some((part) => part.startsWith('__') && part.endsWith('__')) && ALLOWED.get(module)?.has(name) !== true) return DUNDER;
  if (parts.length > 1) return DOTTED;
  if (HELD.get(module)?.has(name) === true) return KEEP;
  const allowed = ALLOWED.get(module);
  if (allowed === undefined) return UNKNOWN;
  // Cython's own unpickling functions create one class, named at their end, and fill in its fields.
  if (allowed.has(name) || (name.startsWith(CYTHON) && allowed.has(name.slice(CYTHON.length)))) return ALLOW;
  return UNKNOWN;
}

/** A denied name of a module that a library carries inside it. */
function decideVendored(module: string, name: string): Judgement | null {
  for (let dot = module.indexOf('.'); dot >= 0; dot = module.indexOf('.', dot + 1)) {
    const inner = module.slice(dot + 1);
    if (!VENDORED.has(inner)) continue;
    const judgement = judge(inner, name);
    if (judgement.kind === 'denied') return judgement;
  }
  return null;
}

/** Whether a dotted name passes through what is denied, whatever module it is taken from. */
export function leadsToDenied(name: string): boolean {
  return name.includes('.') && name.split('.').some((part) => DENIED_MODULES.has(part) || DENIED_NAMES.has(`builtins ${part}`));
}

function deniedModule(module: string): Capability | undefined {
  for (let end = module.length; end > 0; end = module.lastIndexOf('.', end - 1)) {
    const capability = DENIED_MODULES.get(module.slice(0, end));
    if (capability !== undefined) return capability;
  }
  return undefined;
}

function byModule(table: string): Map<string, Set<string>> {
  const modules = new Map<string, Set<string>>();
  for (const line of table.split('\n')) {
    const [module, ...names] = line.trim().split(' ');
    if (module === undefined || module === '') continue;
    const known = modules.get(module) ?? new Set<string>();
    for (const name of names) known.add(name);
    modules.set(module, known);
  }
  return modules;
}
