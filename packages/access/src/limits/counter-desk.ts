import type { Claim } from './claim.ts';
import type { CounterAnswer, CounterQuestion } from './counter-message.ts';
import type { MemoryStore } from './memory-store.ts';
import type { CounterStore, Hold, Shortage, Standing } from './store.ts';

/** Milliseconds a worker has to give back what another is short of. One that does not counts as having used it. */
const RECALL_PATIENCE = 250;

/** A bucket that is wanted, while those who have something of it are asked for it. */
interface Recall {
  /** Workers that have not answered yet, with how often each had been heard before. */
  readonly from: Map<number, number>;
  readonly done: PromiseWithResolvers<void>;
  readonly timer: NodeJS.Timeout;
  /** Those who want it. Until all of them have gone on, nothing more of it is granted. */
  waiting: number;
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
  /** How often each worker was heard. */
  readonly #heard = new Map<number, number>();
  /** Workers that let a recall pass and were not heard since. All they have has lapsed, so they are not asked for it again. */
  readonly #silent = new Set<number>();
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
    const buckets = this.#store.lent(claims).filter((bucket) => !recalled.has(bucket));
    const recalling = this.#recall(buckets, () => this.take(claims, new Set([...recalled, ...buckets])));
    return recalling ?? taking;
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    this.#store.settle(hold, used);
  }

  async peek(claims: readonly Claim[]): Promise<readonly Standing[]> {
    const peek = (): readonly Standing[] => this.#store.peek(claims);
    return this.#recall(bucketsOf(claims), peek) ?? peek();
  }

  async clear(claims: readonly Claim[]): Promise<void> {
    const clear = (): void => this.#store.clear(claims);
    await (this.#recall(bucketsOf(claims), clear) ?? clear());
  }

  /** Does what `worker` asks, in its order; each answer goes out once it is known. */
  serve(worker: number, questions: readonly CounterQuestion[]): void {
    if (this.#gone.has(worker)) return;
    this.#heard.set(worker, (this.#heard.get(worker) ?? 0) + 1);
    this.#silent.delete(worker);
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
        if (taking instanceof Promise) void taking.then((late) => this.#taken(worker, question, late, false));
        else this.#taken(worker, question, taking, question.often);
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
    this.#heard.delete(worker);
    this.#silent.delete(worker);
    this.#store.forfeit(worker);
    for (const recall of this.#recalls.values()) this.#returned(recall, worker);
  }

  #taken(worker: number, { id, claims }: Extract<CounterQuestion, { ask: 'take' }>, taking: Hold | Shortage, grants: boolean): void {
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
    const granted = grants && !claims.some(({ bucket }) => this.#recalls.has(bucket)) ? this.#store.grant(worker, claims) : null;
    this.#tell(worker, granted === null ? { id, taken, standings } : { id, taken, standings, grants: granted });
  }

  #spent(worker: number, spending: Extract<CounterQuestion, { ask: 'spend' }>): void {
    this.#store.spend(worker, spending);
    const recall = this.#recalls.get(spending.bucket);
    if (recall !== undefined && !this.#store.holders(spending.bucket).includes(worker)) this.#returned(recall, worker);
  }

  /**
   * What `next` returns, once everybody has given back what is left of the buckets, or has had the time to. All are recalled at once: who
   * waits has no time for one after the other. Null where nobody has any of them.
   */
  #recall<T>(buckets: readonly string[], next: () => T | Promise<T>): Promise<T> | null {
    const recalls = buckets.flatMap((bucket) => this.#recallOf(bucket) ?? []);
    if (recalls.length === 0) return null;
    for (const recall of recalls) recall.waiting += 1;
    return Promise.all(recalls.map(({ done }) => done.promise))
      .then(next)
      .finally(() => {
        for (const recall of recalls) recall.waiting -= 1;
        for (const bucket of buckets) if (this.#recalls.get(bucket)?.waiting === 0) this.#recalls.delete(bucket);
      });
  }

  /** Null where there is nobody to be asked for it. */
  #recallOf(bucket: string): Recall | null {
    const known = this.#recalls.get(bucket);
    if (known !== undefined) return known;
    const from = new Map<number, number>();
    for (const worker of this.#store.holders(bucket)) if (!this.#silent.has(worker)) from.set(worker, this.#heard.get(worker) ?? 0);
    if (from.size === 0) return null;
    const done = Promise.withResolvers<void>();
    const recall = { from, done, timer: setTimeout(() => this.#forgo(recall), RECALL_PATIENCE), waiting: 0 };
    this.#recalls.set(bucket, recall);
    for (const worker of from.keys()) this.#tell(worker, { recall: bucket });
    return recall;
  }

  #returned({ from, done, timer }: Recall, worker: number): void {
    if (!from.delete(worker) || from.size > 0) return;
    clearTimeout(timer);
    done.resolve();
  }

  #forgo({ from, done }: Recall): void {
    for (const [worker, before] of from) if (this.#heard.get(worker) === before) this.#silent.add(worker);
    done.resolve();
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

function bucketsOf(claims: readonly Claim[]): string[] {
  return claims.map(({ bucket }) => bucket);
}
