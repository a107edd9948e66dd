import { type ReplicaMessage, unlifted } from './message.ts';

/** What a replica that starts is told of, milliseconds. */
export const HISTORY = 3_600_000;
/** Messages kept; the oldest go. */
const MOST = 20_000;

/** What replicas have told of late, for those that start where no server keeps it. */
export class ReplicaHistory {
  /** With the monotonic time each was told at. */
  #told: (readonly [ReplicaMessage, number])[] = [];

  add(messages: readonly ReplicaMessage[], now: number): void {
    for (const message of messages) this.#told.push([message, now]);
    if (this.#told.length > 2 * MOST) this.#told = this.#told.slice(-MOST);
  }

  /** What still holds, in its order, with its age in milliseconds. */
  recall(now: number): readonly (readonly [ReplicaMessage, number])[] {
    this.#told = this.#told.filter(([, at]) => now - at < HISTORY).slice(-MOST);
    return unlifted(this.#told).map(([message, at]) => [message, now - at] as const);
  }
}
