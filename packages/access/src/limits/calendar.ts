import type { CalendarPeriod } from '@sallyport/core';
import { DateTime, IANAZone } from 'luxon';
import type { Bucket } from './bucket.ts';

/** Epoch milliseconds: from `start` up to but not including `end`. */
export interface Period {
  readonly start: number;
  readonly end: number;
}

/** Whether `name` is a time zone of the IANA database this Node knows. */
export function isTimeZone(name: string): boolean {
  return IANAZone.isValidZone(name);
}

/** The period of the calendar that `now` (epoch milliseconds) lies in. Its length follows the zone's clock changes. */
export function periodAt({ unit, zone }: CalendarPeriod, now: number): Period {
  const start = DateTime.fromMillis(now, { zone }).startOf(unit);
  return {
    start: start.toMillis(),
    end: start
      .plus({ [`${unit}s`]: 1 })
      .startOf(unit)
      .toMillis(),
  };
}

/** The newest period of each calendar: working one out takes microseconds, and every bucket of a rule has the same. */
const newest = new Map<string, Period>();

function currentPeriod(calendar: CalendarPeriod, now: number): Period {
  const name = `${calendar.unit} ${calendar.zone}`;
  const known = newest.get(name);
  if (known !== undefined && known.start <= now && now < known.end) return known;
  const period = periodAt(calendar, now);
  newest.set(name, period);
  return period;
}

/** What was used in the current period of a calendar. */
export class CalendarBudget implements Bucket {
  readonly #calendar: CalendarPeriod;
  #period: Period = { start: Number.NEGATIVE_INFINITY, end: Number.NEGATIVE_INFINITY };
  #total = 0;

  constructor(calendar: CalendarPeriod) {
    this.#calendar = calendar;
  }

  used(now: number): number {
    this.#advance(now);
    return this.#total;
  }

  add(now: number, amount: number, at: number = now): number {
    this.#advance(now);
    if (at < this.#period.start && now >= this.#period.start) return Number.NEGATIVE_INFINITY;
    this.#total += amount;
    return this.#period.start;
  }

  adjust(now: number, place: number, delta: number): void {
    this.#advance(now);
    if (place === this.#period.start || delta > 0) this.#total += delta;
  }

  untilAtMost(now: number, target: number): number {
    this.#advance(now);
    return this.#total <= target ? 0 : this.#period.end - now;
  }

  /** A wall clock that is set back opens no period a second time: the newest one goes on until its end has come. */
  #advance(now: number): void {
    if (now < this.#period.end) return;
    this.#period = currentPeriod(this.#calendar, now);
    this.#total = 0;
  }
}
