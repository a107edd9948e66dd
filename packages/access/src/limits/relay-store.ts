import type { Claim } from './claim.ts';
import type { MemoryStore } from './memory-store.ts';
import { type CounterStore, countersAway, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';

/** What a worker and the process that counts for it tell each other; several in one message. Plain data: it crosses a process boundary. */
export type CounterQuestion =
  | { readonly ask: 'take'; readonly id: number; readonly claims: readonly Claim[] }
  | { readonly ask: 'settle'; readonly id: number; readonly used: readonly (number | null)[] }
  | { readonly ask: 'close'; readonly id: number }
  | { readonly ask: 'peek' | 'clear'; readonly id: number; readonly claims: readonly Claim[] };

export type CounterAnswer =
  | { readonly id: number; readonly taken: readonly number[]; readonly standings: readonly Standing[] }
  | { readonly id: number; readonly at: number; readonly wait: number; readonly standings: readonly Standing[] }
  | { readonly id: number; readonly peeked: readonly Standing[] };

/** How long an answer is waited for, milliseconds: as long as a server that counts is. */
const PATIENCE = 1_000;

class RelayedHold extends StoredHold {
  readonly id: number;

  constructor(id: number, claims: readonly Claim[], taken: readonly number[], standings: readonly Standing[]) {
    super(claims, taken, standings);
    this.id = id;
  }
}

/** How long what was used may wait for other words to go with, milliseconds: less than the ledger takes, before which no answer is whole. */
const GATHER = 1;

/**
 * The counters of a worker: questions to the process that counts for all of them. A message between processes costs as much as a tenth of
 * a request, so those of one turn of the event loop are one, and what nobody waits for goes with the next.
 */
export class RelayStore implements CounterStore, Disposable {
  readonly #send: (questions: readonly CounterQuestion[]) => void;
  readonly #waiting = new Map<number, (answer: CounterAnswer) => void>();
  readonly #patience: number;
  #outbox: CounterQuestion[] = [];
  #leaving: NodeJS.Immediate | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #last = 0;

  /** `send` delivers to the process that counts; what it answers comes to `receive`. */
  constructor(send: (questions: readonly CounterQuestion[]) => void, patience: number = PATIENCE) {
    this.#send = send;
    this.#patience = patience;
  }

  receive(answers: readonly CounterAnswer[]): void {
    for (const answer of answers) {
      const resolve = this.#waiting.get(answer.id);
      if (resolve !== undefined) resolve(answer);
      // Nobody waits for it any more, so what was taken goes back.
      else if ('taken' in answer) {
        this.#post({ ask: 'settle', id: answer.id, used: answer.taken.map(() => 0) }, 'now');
        this.#post({ ask: 'close', id: answer.id }, 'now');
      }
    }
  }

  async take(claims: readonly Claim[]): Promise<Hold | Shortage> {
    const answer = await this.#ask('take', claims);
    if ('taken' in answer) return new RelayedHold(answer.id, claims, answer.taken, answer.standings);
    if ('wait' in answer) return { granted: false, claims, at: answer.at, wait: answer.wait, standings: answer.standings };
    throw countersAway();
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    if (!(hold instanceof RelayedHold)) return;
    // Whoever asks one thing after another is to find its place free.
    const frees = hold.claims.some(({ rule }, at) => rule.quantity === 'concurrency' && used[at] !== null);
    this.#post({ ask: 'settle', id: hold.id, used }, frees ? 'now' : 'soon');
  }

  close(hold: Hold): void {
    if (hold instanceof RelayedHold) this.#post({ ask: 'close', id: hold.id }, 'soon');
  }

  async peek(claims: readonly Claim[]): Promise<readonly Standing[]> {
    const answer = await this.#ask('peek', claims);
    return 'peeked' in answer ? answer.peeked : [];
  }

  async clear(claims: readonly Claim[]): Promise<void> {
    await this.#ask('clear', claims);
  }

  /** Tells what was still gathered. */
  [Symbol.dispose](): void {
    this.#flush();
  }

  async #ask(ask: 'take' | 'peek' | 'clear', claims: readonly Claim[]): Promise<CounterAnswer> {
    this.#last += 1;
    const id = this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<CounterAnswer>();
    this.#waiting.set(id, resolve);
    this.#post({ ask, id, claims }, 'now');
    const timer = setTimeout(() => reject(countersAway()), this.#patience);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #post(question: CounterQuestion, when: 'now' | 'soon'): void {
    this.#outbox.push(question);
    if (when === 'soon') this.#gathering ??= setTimeout(() => this.#flush(), GATHER).unref();
    else this.#leaving ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#leaving !== null) clearImmediate(this.#leaving);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#leaving = null;
    this.#gathering = null;
    if (this.#outbox.length > 0) this.#send(this.#outbox.splice(0));
  }
}

/** Counts for workers, each of whose reservations it keeps until they are closed or the worker is gone. */
export class CounterDesk {
  readonly #store: MemoryStore;
  readonly #holds = new Map<number, Map<number, Hold>>();
  /** Workers that ended; none has the number of another. What one asked last may come after its end. */
  readonly #gone = new Set<number>();

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** Reservations that are open. */
  get open(): number {
    let sum = 0;
    for (const holds of this.#holds.values()) sum += holds.size;
    return sum;
  }

  /** Answers what `worker` asks, in its order. */
  serve(worker: number, questions: readonly CounterQuestion[]): CounterAnswer[] {
    const answers: CounterAnswer[] = [];
    if (this.#gone.has(worker)) return answers;
    let holds = this.#holds.get(worker);
    if (holds === undefined) {
      holds = new Map();
      this.#holds.set(worker, holds);
    }
    for (const question of questions) {
      const { id } = question;
      if (question.ask === 'settle') {
        const hold = holds.get(id);
        if (hold !== undefined) this.#store.settle(hold, question.used);
      } else if (question.ask === 'close') holds.delete(id);
      else if (question.ask === 'take') {
        const taking = this.#store.take(question.claims);
        if (taking.granted) {
          holds.set(id, taking);
          answers.push({ id, taken: taking.taken, standings: taking.standings });
        } else answers.push({ id, at: taking.at, wait: taking.wait, standings: taking.standings });
      } else {
        if (question.ask === 'clear') this.#store.clear(question.claims);
        answers.push({ id, peeked: this.#store.peek(question.claims) });
      }
    }
    return answers;
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
  }
}
