import { type DenyPattern, type GuardSettings, PASS, type Verdict } from '@sallyport/core';
import type { Action, Reader, Scanner } from './detect/detector.ts';
import { PatternDetector, type PatternRule } from './detect/pattern-detector.ts';
import { type DetectorEntry, ENTRIES, GUARD_DETECTORS, type Side } from './detectors.ts';
import { GuardConfigError, type GuardConfigIssue } from './error.ts';
import type { Guard, Stage, TextContext, TextWindow } from './guard.ts';
import { FoldedScanner } from './normalise/folded-scanner.ts';
import { PatternError } from './pattern/parse.ts';
import { DEFAULT_MAX_MATCH, PatternSet } from './pattern/pattern-set.ts';
import { ScanWindow } from './window/scan-window.ts';
import { Tape } from './window/tape.ts';

export interface GuardOptions {
  /** Most text that is ever held back, in UTF-16 units. A match that would need more is decided at this length, against the text. Default 4096. */
  readonly maxHold?: number;
}

/** What a configuration may call an action; `mask` is the word of other products for `redact`. */
const ACTION_WORDS: Readonly<Record<string, Action>> = { block: 'block', redact: 'redact', mask: 'redact', flag: 'flag' };

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
  if (!Number.isSafeInteger(settings.maxTextLength) || settings.maxTextLength < 1) {
    issues.push({ path: 'guards.maxTextLength', expected: 'a whole number above 0', got: String(settings.maxTextLength) });
  }
  if (issues.length > 0) throw new GuardConfigError(issues);
  return new PackGuard(packs, settings.mode !== 'observe');
}

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
      const allowed = info.actions.map((known) => `${name}:${known}`);
      issues.push({
        path,
        expected: allowed.length === 0 ? `${name} without an action` : allowed.join(', '),
        got,
      });
      return;
    }
    const entry: DetectorEntry | undefined = ENTRIES.find((known) => known.name === name);
    if (entry !== undefined && issues.length === 0) made.push(...entry.make(observe ? 'flag' : action, side, settings, maxHold));
  });
  const deny = settings.deny.filter(({ stages }) => stages.includes(side));
  if (deny.length > 0 && deny.every((pattern) => patternProblem(pattern) === null)) {
    const rules = deny.map((pattern) => denyRule(pattern, observe));
    made.push({ reads: 'both', detector: new PatternDetector('deny', rules, maxHold) });
  }
  const fold = seen.has('normalise');
  const isFolded = ({ reads }: Reader): boolean => reads === 'folded' || (reads === 'both' && fold);
  return { original: made.filter((reader) => !isFolded(reader)), folded: made.filter(isFolded), mayBlock: !observe };
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
    const problem = patternProblem(pattern);
    if (problem !== null) {
      issues.push({
        path: `${path}.pattern`,
        expected: 'a linear-time pattern',
        got: `${problem.message} (at character ${problem.position + 1})`,
      });
    }
  });
}

function patternProblem({ pattern, ignoreCase }: DenyPattern): PatternError | null {
  try {
    new PatternSet([{ source: pattern, ignoreCase }]);
    return null;
  } catch (error) {
    if (error instanceof PatternError) return error;
    throw error;
  }
}

/** Documents and tool results are on their way to a model, as prompts are. */
const SIDE: Readonly<Record<Stage, Side>> = { input: 'input', document: 'input', tool: 'input', output: 'output' };

class PackGuard implements Guard {
  readonly #packs: Readonly<Record<Side, Pack>>;
  readonly #withhold: boolean;
  readonly #windows = new Map<string, ScanWindow>();

  constructor(packs: Readonly<Record<Side, Pack>>, withhold: boolean) {
    this.#packs = packs;
    this.#withhold = withhold;
  }

  open(context: TextContext): TextWindow {
    return this.#open(context);
  }

  #open(context: TextContext): ScanWindow {
    const { original, folded, mayBlock } = this.#packs[SIDE[context.stage]];
    const tape = new Tape();
    const scanners: Scanner[] = original.map(({ detector }) => detector.open(tape, context));
    if (folded.length > 0) scanners.push(new FoldedScanner(folded, tape, context));
    return new ScanWindow(scanners, tape, mayBlock, this.#withhold);
  }

  inspect(text: string, context: TextContext): Verdict {
    const { effect, findings, edits } = this.#windowFor(context).whole(text);
    if (findings.length === 0) return PASS;
    if (effect === 'block') return { effect, findings };
    return edits.length > 0 ? { effect: 'redact', findings, edits } : { effect: 'flag', findings };
  }

  /** A window that was used for a whole text of the same context before, made as new: opening one costs more than a short text. */
  #windowFor(context: TextContext): ScanWindow {
    const { stage, provenance, kind } = context;
    const key = `${stage} ${provenance} ${kind}`;
    let window = this.#windows.get(key);
    if (window !== undefined) {
      window.reset(context);
      return window;
    }
    window = this.#open(context);
    // Kinds may be names that a client chose.
    if (this.#windows.size < MAX_WINDOWS) this.#windows.set(key, window);
    return window;
  }
}

/** Windows kept for whole texts. */
const MAX_WINDOWS = 32;
