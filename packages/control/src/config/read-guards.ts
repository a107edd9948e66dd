import type { GuardOverride, GuardSettings, PersonalSettings, ReplyContract } from '@sallyport/core';
import { compileGuard, GuardConfigError, PACKS, weaknesses } from '@sallyport/guard';
import { DEFAULT_GUARDS } from './defaults.ts';
import type { ContractDocument, GuardOverrideDocument, GuardPolicyDocument, PersonalDocument } from './document.ts';
import { type Path, quote } from './problem.ts';
import { readClassifier } from './read-classifier.ts';
import { checkName } from './read-upstreams.ts';
import { checkUnique, namesIn, type Reading, readSection, refuseInlineSecrets } from './reading.ts';
import { GUARDS } from './schema-guards.ts';

/** Says what is wrong with detectors and patterns, whose vocabulary and syntax are the guard's. Paths are within the settings. */
export type CheckGuards = (settings: GuardSettings) => readonly GuardProblem[];

export interface GuardProblem {
  readonly path: Path;
  readonly expected: string;
  readonly got: string;
}

/** What a shadow looks for is all it names. */
const EMPTY: GuardSettings = { ...DEFAULT_GUARDS, input: [], output: [] };

const AT: Path = ['guards'];

/** The guard policies of the file: the one for all calls, with those for some of them as its overrides. */
export function readGuards(
  value: unknown,
  check: CheckGuards,
  known: { readonly roles: unknown; readonly builtInRoles: ReadonlySet<string> },
  reading: Reading,
): GuardSettings {
  const knownRoles = new Set([...known.builtInRoles, ...namesIn(known.roles)]);
  const section = readSection(GUARDS, withoutInlineSecret(value, reading), AT, reading) ?? {};
  const { classifier } = section;
  const policy = readPolicy(section, DEFAULT_GUARDS, AT, check, reading);
  const base = classifier === undefined ? policy : { ...policy, classifier: readClassifier(classifier, [...AT, 'classifier'], reading) };
  const items = (section.overrides ?? []).map((override, index) => ({ value: override, path: [...AT, 'overrides', index] }));
  checkUnique(items, reading.findings);
  const overrides = items.map((item) => readOverride(item.value, base, item.path, { check, knownRoles, reading }));
  return overrides.length === 0 ? base : { ...base, overrides };
}

function withoutInlineSecret(value: unknown, reading: Reading): unknown {
  if (typeof value !== 'object' || value === null || !('classifier' in value)) return value;
  return { ...value, classifier: refuseInlineSecrets(value.classifier, ['credential'], [...AT, 'classifier'], reading) };
}

interface OverrideReading {
  readonly check: CheckGuards;
  readonly knownRoles: ReadonlySet<string>;
  readonly reading: Reading;
}

function readOverride(
  document: GuardOverrideDocument,
  base: GuardSettings,
  path: Path,
  { check, knownRoles, reading }: OverrideReading,
): GuardOverride {
  const { name, models = null, endpoints = null, roles = null, tenants = null } = document;
  if (models === null && endpoints === null && roles === null && tenants === null) {
    reading.findings.problem(
      path,
      'whom it is for: at least one of models, endpoints, roles, tenants',
      'none',
      'for all calls write it under guards',
    );
  }
  roles?.forEach((role, index) => {
    checkName(role, knownRoles, 'the name of a role', [...path, 'roles', index], reading);
  });
  const { shadow, ...inherited } = base;
  const settings = readPolicy(document, document.shadow === undefined && shadow !== undefined ? base : inherited, path, check, reading);
  return { name, models, endpoints, roles, tenants, settings };
}

/** `document` over `base`, checked, with its shadow. */
function readPolicy(
  document: GuardPolicyDocument & { name?: string; shadow?: GuardPolicyDocument },
  base: GuardSettings,
  path: Path,
  check: CheckGuards,
  reading: Reading,
): GuardSettings {
  const policy = applyPolicy(document, base, path, reading);
  report(document, policy, path, check, reading);
  // What it took over was said where it stands.
  const told = new Set(weaknesses(base).map(({ message }) => message));
  for (const { path: within, message, fix } of weaknesses(policy)) {
    const where = document.name === undefined ? message : `guard policy ${document.name}: ${message}`;
    if (!told.has(message)) reading.findings.warn([...path, ...within], where, fix);
  }
  if (document.shadow === undefined) return policy;
  const shadow = applyPolicy(document.shadow, EMPTY, [...path, 'shadow'], reading);
  report(document.shadow, shadow, [...path, 'shadow'], check, reading);
  return { ...policy, shadow };
}

/** The default lists are the guard's own: compiling them again would only cost time at the start. */
function report(document: GuardPolicyDocument, policy: GuardSettings, path: Path, check: CheckGuards, { findings }: Reading): void {
  const { input, output, deny, pii, content, actions, pack, contract } = document;
  if ([input, output, deny, pii, content, actions, pack, contract].every((written) => written === undefined)) return;
  for (const { path: within, expected, got } of check(policy)) findings.problem([...path, ...within], expected, got);
}

function applyPolicy(document: GuardPolicyDocument, base: GuardSettings, path: Path, reading: Reading): GuardSettings {
  const pack = document.pack === undefined ? base : { ...base, ...PACKS[document.pack] };
  const { deny, pii, content, thresholds, contract } = document;
  const links = contract?.links === undefined ? document.links : { hosts: contract.links, only: true };
  const lists = withActions(document, { input: document.input ?? pack.input, output: document.output ?? pack.output }, path, reading);
  if (contract?.links !== undefined) checkLinks(document, lists, path, reading);
  const mode = document.mode ?? pack.mode;
  const kept = contract === undefined ? pack.contract : readContract(contract);
  const held = kept !== undefined && kept.schema !== null && mode === 'transform';
  const { pii: _pii, content: _content, ...same } = pack;
  return {
    ...same,
    ...inherited(pack, lists),
    ...lists,
    // JSON is known to fit when all of it is there: until then nothing leaves, so that a refusal is an ordinary answer.
    mode: held ? 'hold' : mode,
    deny:
      deny?.map((pattern) => ({
        name: pattern.name,
        pattern: pattern.pattern,
        ignoreCase: pattern.ignoreCase ?? false,
        stages: pattern.stages ?? ['input', 'output'],
        action: pattern.action ?? 'block',
      })) ?? pack.deny,
    ...(pii === undefined ? {} : { pii: readPersonal(pii) }),
    ...(content === undefined ? {} : { content: { actions: content.actions ?? {} } }),
    onBlock: document.onBlock ?? pack.onBlock,
    onUnavailable: document.onUnavailable ?? pack.onUnavailable,
    maxTextLength: document.maxTextLength ?? pack.maxTextLength,
    links: { hosts: links?.hosts ?? pack.links.hosts, only: links?.only ?? pack.links.only },
    ...(thresholds === undefined ? {} : { thresholds }),
    ...(kept === undefined ? {} : { contract: kept }),
  };
}

/** Settings of a detector that the policy's own lists leave out are not its own: it was not this document that wrote them. */
function inherited({ pii, content }: GuardSettings, lists: Lists): Partial<GuardSettings> {
  const names = detectorsIn(lists);
  return {
    ...(pii !== undefined && (names.has('pii') || names.has('entities')) ? { pii } : {}),
    ...(content !== undefined && names.has('content') ? { content } : {}),
  };
}

function readContract({ schema, requested, languages, minLength, maxLength, repair, onBreach }: ContractDocument): ReplyContract {
  return {
    schema: schema ?? null,
    ...(requested === true ? { requested } : {}),
    languages: languages ?? [],
    minLength: minLength ?? 0,
    maxLength: maxLength ?? null,
    repair: repair ?? true,
    onBreach: onBreach ?? 'refuse',
  };
}

/** Links are the business of a detector, which must be there. */
function checkLinks(document: GuardPolicyDocument, { output }: Lists, path: Path, { findings }: Reading): void {
  if (document.links !== undefined) {
    findings.problem([...path, 'links'], 'no links beside contract.links, which say the same', 'both', 'remove one of them');
  }
  if (output.every((item) => nameOf(item) !== 'exfiltration')) {
    findings.problem(
      [...path, 'contract', 'links'],
      'the detector exfiltration in output, which reads links',
      'none',
      'add exfiltration to output',
    );
  }
}

type Lists = Pick<GuardSettings, 'input' | 'output'>;

/** The detectors that lists name. */
function detectorsIn({ input, output }: Lists): ReadonlySet<string> {
  return new Set([...input, ...output].map(nameOf));
}

/** The lists with the actions that the document gives their detectors. */
function withActions({ actions = {} }: GuardPolicyDocument, lists: Lists, path: Path, { findings }: Reading): Lists {
  const names = detectorsIn(lists);
  for (const name of Object.keys(actions)) {
    if (names.has(name)) continue;
    findings.problem(
      [...path, 'actions', name],
      `a detector of the lists: ${[...names].join(', ')}`,
      quote(name),
      `add it to input or output`,
    );
  }
  const change = (item: string): string => {
    const action = Object.hasOwn(actions, nameOf(item)) ? actions[nameOf(item)] : undefined;
    return action === undefined ? item : `${nameOf(item)}:${action}`;
  };
  return { input: lists.input.map(change), output: lists.output.map(change) };
}

function nameOf(item: string): string {
  return item.split(':', 1)[0] ?? item;
}

/** A recogniser's own action is one more action by its name. */
function readPersonal({ actions = {}, recognisers = [] }: PersonalDocument): PersonalSettings {
  const own = recognisers.flatMap(({ name, action }) => (action === undefined ? [] : [[name, action] as const]));
  return {
    actions: { ...Object.fromEntries(own), ...actions },
    recognisers: recognisers.map(({ name, pattern, ignoreCase, context, checksum }) => ({
      name,
      pattern,
      ignoreCase: ignoreCase ?? false,
      context: context ?? [],
      checksum: checksum ?? null,
    })),
  };
}

/** Asks the guard that will run. */
export const checkWithGuard: CheckGuards = (settings) => {
  try {
    compileGuard(settings);
    return [];
  } catch (error) {
    if (!(error instanceof GuardConfigError)) throw error;
    return error.issues.map(({ path, expected, got }) => ({ path: parsePath(path).slice(1), expected, got }));
  }
};

/** `guards.deny[0].pattern` in its parts. */
function parsePath(text: string): Path {
  return [...text.matchAll(/[^.[\]]+/g)].map(([part]) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}
