import { randomBytes } from 'node:crypto';
import { type DenyPattern, type GuardSettings, PASS, type Verdict } from '@sallyport/core';
import { contentProblems } from './content/content.ts';
import { compileContract } from './contract/contract.ts';
import { ContractGuard } from './contract/contract-guard.ts';
import type { Reader, Scanner } from './detect/detector.ts';
import { PatternDetector, type PatternRule } from './detect/pattern-detector.ts';
import { type ActionWord, type DetectorEntry, ENTRIES, GUARD_DETECTORS, type Side } from './detectors.ts';
import { GuardConfigError, type GuardConfigIssue } from './error.ts';
import type { Guard, Stage, TextContext, TextWindow, WindowStep } from './guard.ts';
import { everyInjectionReaders } from './injection/injection.ts';
import { FoldedScanner } from './normalise/folded-scanner.ts';
import { DEFAULT_MAX_MATCH, patternProblem } from './pattern/pattern-set.ts';
import { isPersonal, personalProblems, tokenises } from './personal/settings.ts';
import { Naming } from './window/naming.ts';
import type { Placeholders } from './window/placeholders.ts';
import { RestoreScanner } from './window/restore-scanner.ts';
import { ScanWindow } from './window/scan-window.ts';
import { Tape } from './window/tape.ts';

export interface GuardOptions {
  /** Most text that is ever held back, in UTF-16 units. A match that would need more is decided at this length, against the text. Default 4096. */
  readonly maxHold?: number;
  /** Key of the hashes that stand for personal values (`hash`), at least 16 bytes. Default: one of this process, so that hashes end with it. */
  readonly hashKey?: Uint8Array;
}

/** What a configuration may call an action; `mask` is the word of other products for `redact`. */
const ACTION_WORDS: Readonly<Record<string, ActionWord>> = {
  block: 'block',
  redact: 'redact',
  mask: 'redact',
  tokenise: 'tokenise',
  hash: 'hash',
  flag: 'flag',
};

interface Pack {
  readonly original: readonly Reader[];
  /** Those that read the text in plain letters, alone or too. */
  readonly folded: readonly Reader[];
  readonly mayBlock: boolean;
}

/**
 * Compiles settings into a guard.
 * @throws GuardConfigError with every problem at once
 */
export function compileGuard(settings: GuardSettings, options: GuardOptions = {}): Guard {
  const issues: GuardConfigIssue[] = [];
  const maxHold = options.maxHold ?? DEFAULT_MAX_MATCH;
  const packs = { input: compilePack('input', settings, maxHold, issues), output: compilePack('output', settings, maxHold, issues) };
  checkDeny(settings.deny, issues);
  checkPersonal(settings, issues);
  issues.push(...contentProblems(settings));
  const contract = settings.contract === undefined ? null : compileContract(settings.contract, issues);
  if (!Number.isSafeInteger(settings.maxTextLength) || settings.maxTextLength < 1) {
    issues.push({ path: 'guards.maxTextLength', expected: 'a whole number above 0', got: String(settings.maxTextLength) });
  }
  if (issues.length > 0) throw new GuardConfigError(issues);
  const guard = new PackGuard(packs, settings, options.hashKey ?? randomBytes(32));
  return contract === null ? guard : new ContractGuard(guard, contract, settings.mode);
}

/**
 * The guard for what several texts say together (`seamVerdicts`): of a policy's detectors only `injection`, with the policy's action, thresholds
 * and mode, and reading on behind what it finds. Null where the policy has no `injection`. For settings that `compileGuard` takes.
 */
export function compileSeamGuard(settings: GuardSettings, { maxHold = DEFAULT_MAX_MATCH }: GuardOptions = {}): Guard | null {
  const [name, word] = settings.input.map((item) => item.split(':', 2)).find(([named]) => named === 'injection') ?? [];
  if (name === undefined) return null;
  const mayBlock = settings.mode !== 'observe';
  const folds = settings.input.includes('normalise');
  const action = !mayBlock ? 'flag' : word === 'block' || word === 'flag' ? word : null;
  const readers = everyInjectionReaders(action, maxHold, settings.thresholds?.injection, folds);
  const nothing: Pack = { original: [], folded: [], mayBlock: false };
  const input: Pack = { ...packOf(readers, folds), mayBlock };
  return new PackGuard({ input, output: nothing }, { ...settings, input: [], output: [] }, NO_KEY);
}

/** Nothing that is joined is replaced. */
const NO_KEY = new Uint8Array(0);

function compilePack(side: Side, settings: GuardSettings, maxHold: number, issues: GuardConfigIssue[]): Pack {
  const observe = settings.mode === 'observe';
  const made: Reader[] = [];
  const seen = new Set<string>();
  settings[side].forEach((item, index) => {
    const path = `guards.${side}[${index}]`;
    const got = JSON.stringify(item.slice(0, 60));
    const [name = '', word] = item.split(':', 2);
    const info = GUARD_DETECTORS.find((known) => known.name === name && known.sides.includes(side));
    if (info === undefined) {
      const known = GUARD_DETECTORS.filter(({ sides }) => sides.includes(side)).map((entry) => entry.name);
      issues.push({ path, expected: `one of the detectors that exist here: ${known.join(', ')}`, got });
      return;
    }
    if (seen.has(name)) issues.push({ path, expected: `${name} once`, got: 'a second one' });
    seen.add(name);
    const action = word === undefined ? null : (ACTION_WORDS[word] ?? null);
    if (word !== undefined && (action === null || !info.actions.includes(action))) {
      const words = Object.entries(ACTION_WORDS).filter(([, known]) => info.actions.includes(known));
      const allowed = words.map(([known]) => `${name}:${known}`);
      issues.push({
        path,
        expected: allowed.length === 0 ? `${name} without an action` : allowed.join(', '),
        got,
      });
      return;
    }
    const entry: DetectorEntry | undefined = ENTRIES.find((known) => known.name === name);
    if (entry === undefined || issues.length > 0 || personalProblems(settings.pii).length > 0) return;
    const form = action === 'tokenise' ? 'token' : action === 'hash' ? 'hash' : 'mask';
    const done = action === 'tokenise' || action === 'hash' ? 'redact' : action;
    made.push(...entry.make(observe ? 'flag' : done, side, settings, maxHold, form));
  });
  const deny = settings.deny.filter(({ stages }) => stages.includes(side));
  if (deny.length > 0 && deny.every(({ pattern, ignoreCase }) => patternProblem(pattern, ignoreCase) === null)) {
    const rules = deny.map((pattern) => denyRule(pattern, observe));
    made.push({ reads: 'both', detector: new PatternDetector('deny', rules, maxHold) });
  }
  return { ...packOf(made, seen.has('normalise')), mayBlock: !observe };
}

function packOf(readers: readonly Reader[], folds: boolean): Pick<Pack, 'original' | 'folded'> {
  const isFolded = ({ reads }: Reader): boolean => reads === 'folded' || (reads === 'both' && folds);
  return { original: readers.filter((reader) => !isFolded(reader)), folded: readers.filter(isFolded) };
}

function denyRule({ name, pattern, ignoreCase, action }: DenyPattern, observe: boolean): PatternRule {
  return {
    pattern: { source: pattern, ignoreCase },
    category: name,
    severity: 'high',
    action: observe ? 'flag' : action,
    replacement: '[REDACTED]',
  };
}

function checkDeny(deny: readonly DenyPattern[], issues: GuardConfigIssue[]): void {
  const names = new Set<string>();
  deny.forEach((pattern, index) => {
    const path = `guards.deny[${index}]`;
    if (names.has(pattern.name))
      issues.push({ path: `${path}.name`, expected: 'a name of its own', got: JSON.stringify(pattern.name.slice(0, 60)) });
    names.add(pattern.name);
    const problem = patternProblem(pattern.pattern, pattern.ignoreCase);
    if (problem !== null) {
      issues.push({
        path: `${path}.pattern`,
        expected: 'a linear-time pattern',
        got: `${problem.message} (at character ${problem.position + 1})`,
      });
    }
  });
}

function checkPersonal(settings: GuardSettings, issues: GuardConfigIssue[]): void {
  issues.push(...personalProblems(settings.pii));
  const isUsed = [...settings.input, ...settings.output].some(isPersonal);
  if (settings.pii !== undefined && !isUsed) {
    issues.push({ path: 'guards.pii', expected: '`pii` or `entities` in guards.input or guards.output', got: 'neither' });
  }
}

/** Documents and tool results are on their way to a model, as prompts are. */
const SIDE: Readonly<Record<Stage, Side>> = { input: 'input', document: 'input', tool: 'input', output: 'output' };

class PackGuard implements Guard {
  readonly tokenises: boolean;
  readonly #packs: Readonly<Record<Side, Pack>>;
  readonly #withhold: boolean;
  readonly #windows = new Map<string, ScanWindow>();
  readonly #hashKey: Uint8Array;

  constructor(packs: Readonly<Record<Side, Pack>>, settings: GuardSettings, hashKey: Uint8Array) {
    this.tokenises = tokenises(settings);
    this.#packs = packs;
    this.#withhold = settings.mode !== 'observe';
    this.#hashKey = hashKey;
  }

  open(context: TextContext): TextWindow {
    return this.#open(context);
  }

  #open(context: TextContext): ScanWindow {
    const { placeholders, kind, stage } = context;
    const { original, folded, mayBlock } = this.#packs[SIDE[stage]];
    const tape = new Tape();
    const scanners: Scanner[] = original.map(({ detector }) => detector.open(tape, context));
    if (folded.length > 0) scanners.push(new FoldedScanner(folded, tape, context));
    if (isRestoring(context)) scanners.push(new RestoreScanner(context.placeholders, kind === 'tool-arguments'));
    const naming = new Naming(stage === 'output', kind === 'arguments', this.#hashKey);
    naming.begin(placeholders ?? null);
    return new ScanWindow(scanners, tape, naming, mayBlock, this.#withhold, context.allowed ?? null);
  }

  inspect(text: string, context: TextContext): Verdict {
    // What puts back the values of one exchange is of no use to another.
    const window = isRestoring(context) ? this.#open(context) : this.#windowFor(context);
    const { stage, provenance, kind } = context;
    let step: WindowStep;
    try {
      step = window.whole(text);
    } finally {
      // A window waits for its next text; neither this one nor anything of its exchange may wait with it.
      window.reset({ stage, provenance, kind });
    }
    const { effect, findings, edits } = step;
    if (effect === 'block') return { effect, findings };
    if (edits.length > 0) return { effect: 'redact', findings, edits };
    return findings.length === 0 ? PASS : { effect: 'flag', findings };
  }

  /** A window that was used for a whole text of the same context before, made as new: opening one costs more than a short text. */
  #windowFor(context: TextContext): ScanWindow {
    const { stage, provenance, kind } = context;
    const key = `${stage} ${provenance} ${kind}`;
    let window = this.#windows.get(key);
    if (window !== undefined) {
      // It was reset after its last use; only what a text brings along is new.
      if (context.exchange !== undefined || context.placeholders !== undefined || context.allowed !== undefined) window.reset(context);
      return window;
    }
    window = this.#open(context);
    // Kinds may be names that a client chose.
    if (this.#windows.size < MAX_WINDOWS) this.#windows.set(key, window);
    return window;
  }
}

function isRestoring(context: TextContext): context is TextContext & { readonly placeholders: Placeholders } {
  return context.stage === 'output' && context.placeholders?.restores === true;
}

/** Windows kept for whole texts. */
const MAX_WINDOWS = 32;
