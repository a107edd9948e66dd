import type { Usage } from '@sallyport/core';
import type { Answered } from './facts.ts';

/** Replaces the reservation by what was used. An exchange without an answer is settled where it is refused. */
export function settle(answered: Answered): Usage | null {
  return answered.charge.settle(answered.fault);
}
