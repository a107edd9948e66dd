import type { ReplicaMessage, ReplicaRelay } from './message.ts';

/** Milliseconds for which messages are gathered. */
const GATHER = 100;
/** Messages of one batch. Of a flood, which is what they tell of, the rest is dropped. */
const MOST = 100;

/** Gathers messages: those that only add up become one. */
export class ReplicaOutbox implements ReplicaRelay, Disposable {
  readonly #deliver: (messages: readonly ReplicaMessage[]) => void;
  #gathered = new Map<string, ReplicaMessage>();
  #timer: NodeJS.Timeout | null = null;

  constructor(deliver: (messages: readonly ReplicaMessage[]) => void) {
    this.#deliver = deliver;
  }

  send(message: ReplicaMessage): void {
    // What an operator undoes ends what was to be told before.
    if (message.kind === 'reset') this.#drop(message.subject);
    const name = nameOf(message);
    const known = this.#gathered.get(name);
    if (known === undefined && this.#gathered.size >= MOST && message.kind !== 'reset') return;
    const adds = known !== undefined && 'times' in known && 'times' in message;
    this.#gathered.set(name, adds ? { ...message, times: known.times + message.times } : message);
    this.#timer ??= setTimeout(() => this.flush(), GATHER);
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#gathered.size === 0) return;
    const messages = [...this.#gathered.values()];
    this.#gathered = new Map();
    this.#deliver(messages);
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  #drop(subject: string): void {
    for (const [name, message] of this.#gathered) if ('times' in message && message.subject === subject) this.#gathered.delete(name);
  }
}

function nameOf(message: ReplicaMessage): string {
  if (message.kind === 'breaker') return JSON.stringify(['breaker', message.upstream, message.model]);
  return `${message.kind} ${message.subject}${message.kind === 'signal' ? `\n${message.signal}` : ''}`;
}
