import type { Finding, Principal, Provenance, TextEdit, Verdict } from '@sallyport/core';
import type { Classifier, ClassifierVerdict } from './classifier.ts';

/** UTF-16 units of a text that are shown at a time, and how often one request may ask. */
const LONGEST = 16_384;
const MOST_CALLS = 4;

/** What came of asking: findings to record, and whether the text is blocked for them. */
export interface Second {
  readonly findings: readonly Finding[];
  readonly effect: 'pass' | 'block' | 'unavailable';
  readonly blocks: boolean;
}

/** Asks about what the guard found suspicious in one request. */
export class GreyBand {
  readonly #classifier: Classifier;
  readonly #principal: Principal;
  #left = MOST_CALLS;

  constructor(classifier: Classifier, principal: Principal) {
    this.#classifier = classifier;
    this.#principal = principal;
  }

  /**
   * Null where there is nothing to ask: the text is not suspicious, is blocked anyway, or is nobody's who could attack. What is shown is
   * the text as it would be forwarded: what was redacted stays in this house.
   */
  async judge(text: string, provenance: Provenance, verdict: Verdict): Promise<Second | null> {
    if ((verdict.effect !== 'flag' && verdict.effect !== 'redact') || (provenance !== 'user' && provenance !== 'untrusted')) return null;
    const grey = verdict.findings.filter(({ detector }) => detector === 'injection');
    const edits = verdict.effect === 'redact' ? verdict.edits : [];
    const findings: Finding[] = [];
    let covered = 0;
    let effect: Second['effect'] = 'pass';
    for (const { start, end } of grey) {
      if (end <= covered) continue;
      const excerpt = excerptOf(text, edits, start);
      covered = excerpt.end;
      const opinion = await this.#ask(excerpt.text, provenance);
      const severity = opinion.safe === false ? 'high' : 'info';
      const category = opinion.safe === null ? opinion.reason : opinion.safe ? 'safe' : opinion.category;
      findings.push({ detector: 'classifier', category, severity, start: excerpt.start, end: excerpt.end });
      if (opinion.safe === false) return { findings, effect: 'block', blocks: true };
      if (opinion.safe === null) effect = 'unavailable';
    }
    if (findings.length === 0) return null;
    return { findings, effect, blocks: effect === 'unavailable' && this.#classifier.settings.onUnavailable === 'block' };
  }

  async #ask(text: string, provenance: Provenance): Promise<ClassifierVerdict> {
    if (this.#left === 0) return { safe: null, reason: 'too-much' };
    this.#left -= 1;
    return this.#classifier.judge(text, provenance, this.#principal.id);
  }
}

interface Excerpt {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text, or of a long one the part around `at`, with its edits made; no edit is cut. */
function excerptOf(text: string, edits: readonly TextEdit[], at: number): Excerpt {
  let start = text.length <= LONGEST ? 0 : Math.max(0, Math.min(at - LONGEST / 4, text.length - LONGEST));
  let end = Math.min(text.length, start + LONGEST);
  for (const edit of edits) {
    if (edit.start < start && edit.end > start) start = edit.start;
    if (edit.start < end && edit.end > end) end = edit.end;
  }
  let shown = '';
  let from = start;
  for (const edit of edits) {
    if (edit.end <= start || edit.start >= end) continue;
    shown += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return { start, end, text: (shown + text.slice(from, end)).toWellFormed() };
}
