import type { Claim } from './claim.ts';
import type { Standing } from './store.ts';

/**
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI's clients know them, for the rule of each kind with the least left of
 * its limit. `reset` is a duration in seconds (`12.5s`) until the window is empty.
 */
export function rateLimitHeaders(claims: readonly Claim[], standings: readonly Standing[]): readonly string[] {
  const headers: string[] = [];
  addTightest(headers, 'requests', claims, standings);
  addTightest(headers, 'tokens', claims, standings);
  return headers;
}

function addTightest(headers: string[], kind: 'requests' | 'tokens', claims: readonly Claim[], standings: readonly Standing[]): void {
  let tightest = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < standings.length; at += 1) {
    const rule = claims[at]?.rule;
    const standing = standings[at];
    if (rule === undefined || standing === undefined || kindOf(rule.quantity) !== kind) continue;
    const share = (rule.amount - standing.used) / rule.amount;
    if (share >= least) continue;
    least = share;
    tightest = at;
  }
  const rule = claims[tightest]?.rule;
  const standing = standings[tightest];
  if (rule === undefined || standing === undefined) return;
  headers.push(`x-ratelimit-limit-${kind}`, String(rule.amount));
  headers.push(`x-ratelimit-remaining-${kind}`, String(Math.max(0, Math.floor(rule.amount - standing.used))));
  const tenths = Math.round(standing.reset / 100);
  headers.push(`x-ratelimit-reset-${kind}`, `${Math.floor(tenths / 10)}.${tenths % 10}s`);
}

/** Money and what runs at a time have no header of their own. */
function kindOf(quantity: Claim['rule']['quantity']): 'requests' | 'tokens' | null {
  if (quantity === 'requests') return 'requests';
  return quantity === 'concurrency' || quantity === 'spend' ? null : 'tokens';
}
