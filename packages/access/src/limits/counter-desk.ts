import type { Claim } from './claim.ts';
import type { CounterAnswer, CounterQuestion } from './counter-message.ts';
import type { MemoryStore } from './memory-store.ts';
import type { CounterStore, Hold, Shortage, Standing } from './store.ts';

/** Milliseconds a worker has to give back what another is short of. One that does not counts as having used it. */
const RECALL_PATIENCE = 250;

/** A bucket that is short, while those who have something of it are asked for it. */
interface Recall {
  readonly from: Set<number>;
  readonly done: PromiseWithResolvers<void>;
  readonly timer: NodeJS.Timeout;
}

/**
 * Counts for workers, each of whose reservations it keeps until they are closed or the worker is gone. What is granted to workers counts
 * as used until they tell, and is recalled before anybody is refused for it.
 */
export class CounterDesk implements CounterStore {
  readonly #store: MemoryStore;
  readonly #send: (worker: number, answers: readonly CounterAnswer[]) => void;
  readonly #holds = new Map<number, Map<number, Hold>>();
  readonly #recalls = new Map<string, Recall>();
  readonly #outboxes = new Map<number, CounterAnswer[]>();
  /** Workers that ended; none has the number of another. What one asked last may come after its end. */
  readonly #gone = new Set<number>();

  /** `send` delivers answers to a worker, in their order. */
  constructor(store: MemoryStore, send: (worker: number, answers: readonly CounterAnswer[]) => void) {
    this.#store = store;
    this.#send = send;
  }

  /** Reservations that are open. */
  get open(): number {
    let sum = 0;
    for (const holds of this.#holds.values()) sum += holds.size;
    return sum;
  }

  take(claims: readonly Claim[], recalled: ReadonlySet<string> = new Set()): Hold | Shortage | Promise<Hold | Shortage> {
    const taking = this.#store.take(claims);
    if (taking.granted) return taking;
    const { bucket } = claims[taking.at] as Claim;
    if (recalled.has(bucket)) return taking;
    const recalling = this.#recall(bucket);
    return recalling === null ? taking : recalling.then(() => this.take(claims, new Set([...recalled, bucket])));
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    this.#store.settle(hold, used);
  }

  async peek(claims: readonly Claim[]): Promise<readonly Standing[]> {
    await this.#recallAll(claims);
    return this.#store.peek(claims);
  }

  async clear(claims: readonly Claim[]): Promise<void> {
    await this.#recallAll(claims);
    this.#store.clear(claims);
  }

  /** Does what `worker` asks, in its order; each answer goes out once it is known. */
  serve(worker: number, questions: readonly CounterQuestion[]): void {
    if (this.#gone.has(worker)) return;
    let holds = this.#holds.get(worker);
    if (holds === undefined) {
      holds = new Map();
      this.#holds.set(worker, holds);
    }
    for (const question of questions) {
      if (question.ask === 'settle') {
        const hold = holds.get(question.id);
        if (hold !== undefined) this.#store.settle(hold, question.used);
      } else if (question.ask === 'close') holds.delete(question.id);
      else if (question.ask === 'spend') this.#spent(worker, question);
      else if (question.ask === 'take') {
        const taking = this.take(question.claims);
        if (taking instanceof Promise) void taking.then((late) => this.#taken(worker, question, late));
        else this.#taken(worker, question, taking);
      } else {
        const { id, claims } = question;
        if (question.ask === 'peek') this.#tell(worker, { id, peeked: this.#store.peek(claims) });
        else void this.clear(claims).then(() => this.#tell(worker, { id, peeked: this.#store.peek(claims) }));
      }
    }
  }

  /** The worker is gone: what it ran runs no longer. What it had reserved of windows stays counted, since nobody knows what was used. */
  gone(worker: number): void {
    this.#gone.add(worker);
    for (const hold of this.#holds.get(worker)?.values() ?? []) {
      this.#store.settle(
        hold,
        hold.claims.map(({ rule }) => (rule.quantity === 'concurrency' ? 0 : null)),
      );
    }
    this.#holds.delete(worker);
    this.#store.forfeit(worker);
    for (const [bucket, recall] of this.#recalls) this.#returned(bucket, recall, worker);
  }

  #taken(worker: number, { id, claims, often }: Extract<CounterQuestion, { ask: 'take' }>, taking: Hold | Shortage): void {
    if (!taking.granted) {
      this.#tell(worker, { id, at: taking.at, wait: taking.wait, standings: taking.standings });
      return;
    }
    const holds = this.#holds.get(worker);
    if (holds === undefined) {
      // It ended meanwhile.
      this.#store.settle(
        taking,
        taking.taken.map(() => 0),
      );
      return;
    }
    holds.set(id, taking);
    const { taken, standings } = taking;
    const grants = often ? this.#store.grant(worker, claims) : null;
    this.#tell(worker, grants === null ? { id, taken, standings } : { id, taken, standings, grants });
  }

  #spent(worker: number, spending: Extract<CounterQuestion, { ask: 'spend' }>): void {
    this.#store.spend(worker, spending);
    const recall = this.#recalls.get(spending.bucket);
    if (recall !== undefined && !this.#store.holders(spending.bucket).includes(worker)) this.#returned(spending.bucket, recall, worker);
  }

  async #recallAll(claims: readonly Claim[]): Promise<void> {
    await Promise.all(claims.map(({ bucket }) => this.#recall(bucket)));
  }

  /** Resolves once everybody has given back what is left of the bucket, or has had the time to; null where nobody has any. */
  #recall(bucket: string): Promise<void> | null {
    const known = this.#recalls.get(bucket);
    if (known !== undefined) return known.done.promise;
    const from = new Set(this.#store.recall(bucket));
    if (from.size === 0) return null;
    const timer = setTimeout(() => this.#recalled(bucket), RECALL_PATIENCE);
    const done = Promise.withResolvers<void>();
    this.#recalls.set(bucket, { from, done, timer });
    for (const worker of from) this.#tell(worker, { recall: bucket });
    return done.promise;
  }

  #returned(bucket: string, { from }: Recall, worker: number): void {
    if (from.delete(worker) && from.size === 0) this.#recalled(bucket);
  }

  #recalled(bucket: string): void {
    const recall = this.#recalls.get(bucket);
    this.#recalls.delete(bucket);
    clearTimeout(recall?.timer);
    recall?.done.resolve();
  }

  /** All that is told in one turn goes in one message: one costs more than what it says. */
  #tell(worker: number, answer: CounterAnswer): void {
    const outbox = this.#outboxes.get(worker);
    if (outbox !== undefined) {
      outbox.push(answer);
      return;
    }
    const fresh = [answer];
    this.#outboxes.set(worker, fresh);
    queueMicrotask(() => {
      this.#outboxes.delete(worker);
      this.#send(worker, fresh);
    });
  }
}
