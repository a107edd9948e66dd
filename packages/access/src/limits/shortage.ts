import { Fault } from '@sallyport/core';
import type { Claim } from './claim.ts';
import type { Shortage } from './store.ts';

/** The fault of a request, or of a stream that went on, for which a limit has no room. */
export function shortageFault({ claims, at, wait }: Shortage): Fault {
  const { rule } = claims[at] as Claim;
  const retryAfter = Math.max(1, Math.ceil(wait / 1000));
  if (rule.quantity === 'concurrency') {
    return new Fault('concurrency_exceeded', `At most ${rule.amount} requests at a time are allowed here (limit ${rule.name}).`, {
      retryAfter,
      detail: rule.name,
    });
  }
  if (rule.calendar !== undefined) {
    return new Fault('quota_exceeded', `The budget ${rule.name} is used up until the next ${rule.calendar.unit}.`, {
      retryAfter,
      detail: rule.name,
    });
  }
  return new Fault('rate_limit_exceeded', `The limit ${rule.name} is used up. Try again in ${retryAfter} s.`, {
    retryAfter,
    detail: rule.name,
  });
}
