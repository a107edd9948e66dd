import type { Usage } from '@sallyport/core';
import type { Answered } from './facts.ts';

/** Replaces the reservation by what was used. An upstream that does not say is settled at the estimate of the input. */
export function settle(answered: Answered): Usage | null {
  if (answered.usage !== null) answered.charge.settle(answered.usage);
  return answered.usage;
}
