import type { LimitRule } from '@sallyport/core';
import { type Bucket, Concurrency } from './bucket.ts';
import { CalendarBudget } from './calendar.ts';
import { SlidingWindow } from './window.ts';

/** An empty bucket of the kind a rule counts in. */
export function openBucket(rule: LimitRule): Bucket {
  if (rule.quantity === 'concurrency') return new Concurrency();
  return rule.calendar === undefined ? new SlidingWindow(rule.window) : new CalendarBudget(rule.calendar);
}
