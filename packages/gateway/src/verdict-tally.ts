import type { EntryFacts, Finding, Meter, Provenance, Verdict } from '@sallyport/core';
import type { FindingSink } from './stage/inspect.ts';

/** What the guard found in one exchange, counted by detector, category and what was done. */
export class VerdictTally implements FindingSink {
  readonly #meter: Meter;
  readonly #counts = new Map<string, { detector: string; action: string; category: string; count: number }>();
  #wasFlagged = false;
  #isForeign = false;
  #brokeContract = false;
  #brokeMore = false;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  /** Something was flagged and let through. */
  get wasFlagged(): boolean {
    return this.#wasFlagged;
  }

  /** What was found last stands in text that is not the caller's own: documents, tool results. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  /** All that was to be blocked is a reply that is not what it has to be: the model's doing, and nobody's attack. */
  get brokeContract(): boolean {
    return this.#brokeContract && !this.#brokeMore;
  }

  found(findings: readonly Finding[], effect: Verdict['effect'], provenance: Provenance | null = null): void {
    this.#isForeign = provenance === 'untrusted';
    const isContract = findings.length > 0 && findings.every(({ detector }) => detector === 'contract');
    this.#brokeContract ||= isContract;
    // Another choice of the same reply may break its contract beside this.
    if (!isContract && (effect === 'block' || effect === 'unavailable')) this.#brokeMore = true;
    this.#count(findings, effect);
    if (effect === 'flag' && findings.length > 0 && !isContract) this.#wasFlagged = true;
  }

  /** What a candidate policy would have done; it counts for nothing else. */
  shadowed(findings: readonly Finding[], effect: Verdict['effect']): void {
    this.#count(findings, `shadow:${effect}`);
  }

  /** What an operator has allowed was found; it counts for nothing else. */
  allowed(findings: readonly Pick<Finding, 'detector' | 'category'>[]): void {
    this.#count(findings, 'allowed');
  }

  verdicts(): EntryFacts['verdicts'] {
    return [...this.#counts.values()];
  }

  #count(findings: readonly Pick<Finding, 'detector' | 'category'>[], action: string): void {
    for (const { detector, category } of findings) {
      const key = `${detector}\n${category}\n${action}`;
      const known = this.#counts.get(key);
      if (known === undefined) this.#counts.set(key, { detector, category, action, count: 1 });
      else known.count += 1;
      this.#meter.verdict(detector, action);
    }
  }
}
