import type { TextEdit } from '@sallyport/core';
import type { TextWindow, WindowStep } from '../guard.ts';
import { applyEdits } from '../window/edits.ts';
import { breachFinding, type Contract } from './contract.ts';

/** Releases nothing of a reply before all of it was read against its contract: as it is, repaired, or not at all. */
export class WholeWindow implements TextWindow {
  readonly #window: TextWindow;
  readonly #contract: Contract;
  readonly #callsTools: () => boolean;
  #text = '';
  readonly #edits: TextEdit[] = [];
  #closed = false;

  /** @param callsTools whether there is a call of a tool beside the text; asked at its end */
  constructor(window: TextWindow, contract: Contract, callsTools: () => boolean) {
    this.#window = window;
    this.#contract = contract;
    this.#callsTools = callsTools;
  }

  push(delta: string): WindowStep {
    if (this.#closed) return { released: 0, edits: [], findings: [], effect: 'pass' };
    this.#text += delta;
    return this.#held(this.#window.push(delta));
  }

  end(): WindowStep {
    if (this.#closed) return { released: 0, edits: [], findings: [], effect: 'pass' };
    const step = this.#held(this.#window.end());
    this.#closed = true;
    if (step.effect === 'block') return step;
    const { length } = this.#text;
    const { breach, repaired } = this.#contract.read(applyEdits(this.#text, this.#edits), this.#callsTools());
    if (breach === null) return { ...step, released: length, edits: this.#edits };
    const findings = [...step.findings, breachFinding(breach, 0, length)];
    if (repaired !== null) return { released: length, edits: [{ start: 0, end: length, text: repaired }], findings, effect: 'redact' };
    if (this.#contract.settings.onBreach === 'refuse') return { released: 0, edits: [], findings, effect: 'block' };
    return { released: length, edits: this.#edits, findings, effect: step.effect === 'pass' ? 'flag' : step.effect };
  }

  #held(step: WindowStep): WindowStep {
    this.#edits.push(...step.edits);
    if (step.effect === 'block') this.#closed = true;
    return { ...step, released: 0, edits: [] };
  }
}
