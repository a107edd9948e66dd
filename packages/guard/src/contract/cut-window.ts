import type { TextEdit } from '@sallyport/core';
import type { TextWindow, WindowStep } from '../guard.ts';
import { isHighSurrogate, isLowSurrogate } from '../window/tape.ts';
import { breachFinding, type Contract } from './contract.ts';

/**
 * Lets a reply through up to its longest length; what follows is left out, or ends it. The detectors see exactly what may be shown, whatever
 * the pieces, so that their verdict does not depend on them. What only the whole reply shows is reported at its end.
 */
export class CutWindow implements TextWindow {
  readonly #window: TextWindow;
  readonly #contract: Contract;
  readonly #callsTools: (() => boolean) | null;
  readonly #longest: number;
  #text = '';
  /** Units the detectors have seen; less than the text where its length was at the edge of a surrogate pair. */
  #shown = 0;
  #covered = 0;
  #released = 0;
  #state: 'open' | 'cut' | 'closed' = 'open';

  /** @param callsTools whether there is a call of a tool beside the text, asked at its end; null where another window reads the whole */
  constructor(window: TextWindow, contract: Contract, acts: boolean, callsTools: (() => boolean) | null) {
    this.#window = window;
    this.#contract = contract;
    this.#callsTools = callsTools;
    this.#longest = acts ? (contract.settings.maxLength ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  }

  push(delta: string): WindowStep {
    if (this.#state === 'closed') return { released: this.#released, edits: [], findings: [], effect: 'pass' };
    const before = this.#text.length;
    this.#text += delta;
    if (this.#state === 'cut') return this.#leaveOut(before);
    if (this.#text.length <= this.#longest) return this.#pass(this.#window.push(this.#take(this.#text.length)));
    const { repair, onBreach } = this.#contract.settings;
    if (repair) return this.#cut();
    if (onBreach === 'flag') return this.#pass(this.#window.push(this.#take(this.#text.length)));
    // A reader of single units would have ended here.
    const step = this.#pass(this.#window.push(this.#take(this.#longest + 1)));
    this.#state = 'closed';
    if (step.effect === 'block') return step;
    const released = Math.min(step.released, this.#longest);
    const edits = step.edits.filter(({ start }) => start < released);
    return { released, edits, findings: [...step.findings, this.#tooLong()], effect: 'block' };
  }

  end(): WindowStep {
    if (this.#state === 'closed') return { released: this.#released, edits: [], findings: [], effect: 'pass' };
    const isCut = this.#state === 'cut';
    this.#state = 'closed';
    const step: WindowStep = isCut ? { released: this.#released, edits: [], findings: [], effect: 'pass' } : this.#pass(this.#window.end());
    if (step.effect === 'block' || this.#callsTools === null) return step;
    const { maxLength } = this.#contract.settings;
    const { breach } = this.#contract.read(isCut ? this.#text.slice(0, this.#longest) : this.#text, this.#callsTools());
    const findings = [...step.findings];
    if (!isCut && maxLength !== null && this.#text.length > maxLength)
      findings.push(breachFinding('too-long', maxLength, this.#text.length));
    else if (breach !== null) findings.push(breachFinding(breach, 0, this.#text.length));
    if (findings.length === step.findings.length) return step;
    return { ...step, findings, effect: step.effect === 'pass' ? 'flag' : step.effect };
  }

  /** The rest of the text is left out: for the detectors it ends here. */
  #cut(): WindowStep {
    const isPair = isHighSurrogate(this.#text.charCodeAt(this.#longest - 1)) && isLowSurrogate(this.#text.charCodeAt(this.#longest));
    const until = this.#longest + (isPair ? 1 : 0);
    const pushed = this.#pass(this.#window.push(this.#take(until)));
    if (pushed.effect === 'block') return pushed;
    const ended = this.#pass(this.#window.end());
    const findings = [...pushed.findings, ...ended.findings];
    const edits = [...pushed.edits, ...ended.edits];
    if (ended.effect === 'block') return { ...ended, edits, findings };
    this.#state = 'cut';
    if (this.#text.length === until) return { ...ended, edits, findings: [...findings, this.#tooLong()], effect: 'redact' };
    const rest = this.#leaveOut(until);
    return { released: rest.released, edits: [...edits, ...rest.edits], findings: [...findings, this.#tooLong()], effect: 'redact' };
  }

  #leaveOut(from: number): WindowStep {
    this.#released = this.#text.length;
    const start = Math.max(from, this.#covered);
    const edits: TextEdit[] = start < this.#released ? [{ start, end: this.#released, text: '' }] : [];
    this.#covered = this.#released;
    return { released: this.#released, edits, findings: [], effect: 'pass' };
  }

  /** What the detectors have not seen yet, up to `until`. */
  #take(until: number): string {
    const next = this.#text.slice(this.#shown, until);
    this.#shown = Math.max(this.#shown, Math.min(until, this.#text.length));
    return next;
  }

  #pass(step: WindowStep): WindowStep {
    this.#released = Math.max(this.#released, step.released);
    this.#covered = Math.max(this.#covered, step.edits.at(-1)?.end ?? 0);
    if (step.effect === 'block') this.#state = 'closed';
    return step;
  }

  #tooLong(): ReturnType<typeof breachFinding> {
    return breachFinding('too-long', this.#longest, this.#longest + 1);
  }
}
