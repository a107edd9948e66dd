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
    if (!isReply(context)) return this.#guard.open(context);
    const { isRequested, settings } = this.#contract;
    // JSON of a request is not cut before it is read.
    if (context.isMeasured === true && settings.schema === null && !isRequested) return this.#guard.open(context);
    const window = this.#guard.open(isRequested ? { ...context, isMeasured: true } : context);
    const { callsTools = never } = context;
    if (!this.#acts || !this.#contract.needsWhole) return new CutWindow(window, this.#contract, this.#acts, callsTools);
    // JSON cannot be cut.
    const inner = settings.schema !== null || settings.maxLength === null ? window : new CutWindow(window, this.#contract, true, null);
    return new WholeWindow(inner, this.#contract, callsTools);
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

function never(): boolean {
  return false;
}

function isReply({ stage, kind }: TextContext): boolean {
  return stage === 'output' && (kind === 'text' || kind === null);
}
