import { type Finding, type GuardSettings, PASS, type TextEdit, type Verdict } from '@sallyport/core';
import type { Guard, TextContext, TextWindow, WindowStep } from '../guard.ts';
import type { Contract } from './contract.ts';
import { CutWindow } from './cut-window.ts';
import { WholeWindow } from './whole-window.ts';

/** Holds the words of a reply to a contract, once the detectors have judged them. Reasoning, tool arguments and refusals have none. */
export class ContractGuard implements Guard {
  readonly tokenises: boolean;
  readonly #guard: Guard;
  readonly #contract: Contract;
  readonly #acts: boolean;

  constructor(guard: Guard, contract: Contract, mode: GuardSettings['mode']) {
    this.tokenises = guard.tokenises;
    this.#guard = guard;
    this.#contract = contract;
    this.#acts = mode !== 'observe';
  }

  open(context: TextContext): TextWindow {
    const window = this.#guard.open(context);
    if (!isReply(context)) return window;
    if (!this.#acts || !this.#contract.needsWhole) return new CutWindow(window, this.#contract, this.#acts, true);
    // JSON cannot be cut.
    const { schema, maxLength } = this.#contract.settings;
    const inner = schema !== null || maxLength === null ? window : new CutWindow(window, this.#contract, true, false);
    return new WholeWindow(inner, this.#contract);
  }

  /** As its pieces would be judged. */
  inspect(text: string, context: TextContext): Verdict {
    if (!isReply(context)) return this.#guard.inspect(text, context);
    const window = this.open(context);
    const findings: Finding[] = [];
    const edits: TextEdit[] = [];
    let unavailable = false;
    const steps: (() => WindowStep)[] = [() => window.push(text), () => window.end()];
    for (const next of steps) {
      const step = next();
      findings.push(...step.findings);
      edits.push(...step.edits);
      if (step.effect === 'block') return { effect: 'block', findings };
      unavailable ||= step.effect === 'unavailable';
    }
    if (unavailable) return { effect: 'unavailable', findings, reason: 'a detector could not judge the text' };
    if (edits.length > 0) return { effect: 'redact', findings, edits };
    return findings.length === 0 ? PASS : { effect: 'flag', findings };
  }
}

function isReply({ stage, kind }: TextContext): boolean {
  return stage === 'output' && (kind === 'text' || kind === null);
}
