import type { LimitRule } from '@sallyport/core';
import type { SlidingWindow } from './window.ts';

/** A rule that applies to a request, with its bucket. */
export interface Standing {
  readonly rule: LimitRule;
  readonly window: SlidingWindow;
}

/**
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI's clients know them, for the rule of each kind with the least left of
 * its limit. `reset` is a duration in seconds (`12.5s`) until the window is empty.
 */
export function rateLimitHeaders(standings: readonly Standing[], now: number): readonly string[] {
  const headers: string[] = [];
  for (const kind of ['requests', 'tokens'] as const) {
    const tightest = findTightest(standings, kind, now);
    if (tightest === null) continue;
    const { rule, window } = tightest;
    const remaining = Math.max(0, Math.floor(rule.amount - window.used(now)));
    const reset = window.untilAtMost(now, 0) / 1000;
    headers.push(`x-ratelimit-limit-${kind}`, String(rule.amount));
    headers.push(`x-ratelimit-remaining-${kind}`, String(remaining));
    headers.push(`x-ratelimit-reset-${kind}`, `${reset.toFixed(1)}s`);
  }
  return headers;
}

function findTightest(standings: readonly Standing[], kind: 'requests' | 'tokens', now: number): Standing | null {
  let tightest: Standing | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const standing of standings) {
    if ((standing.rule.quantity === 'requests') !== (kind === 'requests')) continue;
    const share = (standing.rule.amount - standing.window.used(now)) / standing.rule.amount;
    if (share >= least) continue;
    least = share;
    tightest = standing;
  }
  return tightest;
}
