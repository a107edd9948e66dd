import cluster, { type Worker } from 'node:cluster';
import { CounterDesk, MemoryStore, ReplicaHistory, type ReplicaMessage, type ReplicaRelay } from '@sallyport/access';
import { type Config, type Family, mergeFamilies, type SnapshotStatus } from '@sallyport/control';
import type { Clock, Logger } from '@sallyport/core';
import { closeWithWorker } from './handed-connections.ts';
import { type FromWorker, formatSeat, SEAT_VARIABLE, type ToWorker, WORKER_VARIABLE } from './worker-messages.ts';

/** Milliseconds a worker has to be ready, and to do what it is asked. */
const START_PATIENCE = 60_000;
const ASK_PATIENCE = 5_000;
/** Milliseconds before a worker that ended by itself is replaced; a configuration that cannot run must not spin. */
const RESTART_PAUSE = 500;
/** Milliseconds a replaced worker has beyond the longest exchange the configuration allows. */
const DRAIN_MARGIN = 30_000;

interface Member {
  readonly worker: Worker;
  /** Distinguishes its ledger log from those of all others that run. */
  readonly index: number;
  /** From 0 to below the number of workers; who replaces it has it too. */
  readonly seat: number;
  readonly ready: Promise<{ readonly host: string; readonly port: number }>;
  readonly ended: Promise<void>;
  leaving: boolean;
  /** Started beside the one it is to replace, and not ready yet: without it nothing is missing. */
  spare: boolean;
  /** Serves, and hears what others tell. */
  isReady: boolean;
  /** The metrics it last told. */
  told: readonly Family[];
  /** What it serves from, as it last told. */
  snapshot: SnapshotStatus | null;
}

export interface WorkerPoolOptions {
  readonly count: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The configuration in force: a replaced worker may run as long as its slowest upstream. */
  readonly config: () => Config;
  /** Told what a worker tells the others. */
  readonly onNews: (message: ReplicaMessage) => void;
}

/**
 * The gateways of `serve --workers N`, each a process, behind one port. Counts limits for them where no server does. A worker that ends by
 * itself is replaced; `restart` replaces one after the other without cutting a stream.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  /** What all workers have used, where no server counts it. */
  readonly counters: CounterDesk;
  /** Tells all workers. */
  readonly relay: ReplicaRelay;
  readonly #history = new ReplicaHistory();
  readonly #members = new Set<Member>();
  readonly #asked = new Map<number, (families: readonly Family[]) => void>();
  #lastAsked = 0;
  /** What workers that ended had counted when they last told: a counter never falls. */
  #past: readonly Family[] = [];
  #stopping = false;
  #restarting: Promise<void> = Promise.resolve();
  #address: { readonly host: string; readonly port: number } = { host: '', port: 0 };

  private constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.counters = new CounterDesk(new MemoryStore(options.clock), (id, answers) => {
      const worker = cluster.workers?.[id];
      if (worker !== undefined) this.#tell(worker, { kind: 'counters', answers });
    });
    this.relay = { send: (message) => this.#spread([message], null) };
  }

  /** Rejects where a worker cannot start; none is left then. */
  static async start(options: WorkerPoolOptions): Promise<WorkerPool> {
    const pool = new WorkerPool(options);
    try {
      // The first one alone: what is wrong with a configuration is then said once.
      pool.#address = await pool.#fork(0).ready;
      await Promise.all(Array.from({ length: options.count - 1 }, (_, at) => pool.#fork(at + 1).ready));
    } catch (error) {
      pool.#stopping = true;
      for (const { worker } of pool.#members) worker.process.kill('SIGKILL');
      throw error;
    }
    return pool;
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#address;
  }

  /** What the worker serves from that is farthest behind; null where none that takes new requests has anything. */
  get snapshot(): SnapshotStatus | null {
    const told = [...this.#members].filter(({ isReady, leaving }) => isReady && !leaving).flatMap(({ snapshot }) => snapshot ?? []);
    return told.reduce<SnapshotStatus | null>((last, one) => (last === null || isBehind(one, last) ? one : last), null);
  }

  /** Every worker goes by the newest state of the store when this resolves. Never rejects: one that does not answer looks for itself. */
  async refresh(): Promise<void> {
    await this.#askAll('refresh');
  }

  async reload(): Promise<void> {
    await this.#askAll('reload');
  }

  /** Of each worker, and together those of workers that ended. One that does not answer counts as it last did. */
  async metrics(): Promise<readonly (readonly Family[])[]> {
    const members = [...this.#members];
    await Promise.all(
      members.map(async (member) => {
        const families = await this.#ask(member, 'metrics');
        if (families.length > 0) member.told = families;
      }),
    );
    // Read at once, after all have answered: one that ended meanwhile is in the past already.
    return [this.#past, ...members.filter((member) => this.#members.has(member)).map(({ told }) => told)];
  }

  /** Puts a fresh worker in the place of each, one after the other; what an old one runs it may finish. */
  restart(): Promise<void> {
    this.#restarting = this.#restarting.then(async () => {
      for (const old of [...this.#members].filter(({ leaving }) => !leaving)) {
        if (this.#stopping) return;
        const fresh = this.#fork(old.seat, true);
        try {
          await fresh.ready;
        } catch (error) {
          // The one in place goes on.
          this.#options.logger.error('worker.not-started', { reason: error instanceof Error ? error.message : 'unknown' });
          return;
        }
        // One that ended meanwhile has been replaced already.
        const spent = this.#members.has(old) ? old : fresh;
        this.#leave(spent, Math.max(0, ...this.#options.config().upstreams.map(({ timeouts }) => timeouts.total)) + DRAIN_MARGIN);
      }
      this.#options.logger.info('workers.restarted', { workers: this.#options.count });
    });
    return this.#restarting;
  }

  /** Stops accepting in every worker and waits for what they run, within the drain time. */
  async drain(): Promise<void> {
    this.#stopping = true;
    for (const member of this.#members) this.#leave(member, this.#options.config().http.drainTimeout);
    await Promise.all([...this.#members].map(({ ended }) => ended));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#stopping) await this.drain();
  }

  #fork(seat: number, spare: boolean = false): Member {
    const taken = new Set([...this.#members].map(({ index }) => index));
    let index = 1;
    while (taken.has(index)) index += 1;
    const worker = cluster.fork({
      [WORKER_VARIABLE]: String(index),
      [SEAT_VARIABLE]: formatSeat({ number: seat, of: this.#options.count }),
    });
    closeWithWorker(worker);
    const ready = Promise.withResolvers<{ host: string; port: number }>();
    const ended = Promise.withResolvers<void>();
    const member: Member = {
      worker,
      index,
      seat,
      ready: ready.promise,
      ended: ended.promise,
      leaving: false,
      spare,
      isReady: false,
      told: [],
      snapshot: null,
    };
    // Who waits for it hears; a replacement nobody waits for is logged by its end.
    ready.promise.catch(() => undefined);
    this.#members.add(member);
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), START_PATIENCE);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'counters') this.counters.serve(worker.id, message.questions);
      else if (message.kind === 'replicas') {
        for (const one of message.messages) this.#options.onNews(one);
        this.#spread(message.messages, member);
      } else if (message.kind === 'snapshot') member.snapshot = message.status;
      else if (message.kind === 'done') this.#asked.get(message.id)?.(message.families);
      else {
        clearTimeout(timer);
        member.spare = false;
        member.isReady = true;
        // Whom the others keep out is kept out by one that starts as well.
        const told = this.#history.recall(this.#options.clock.monotonic());
        const [messages, ages] = [told.map(([one]) => one), told.map(([, age]) => age)];
        if (told.length > 0) this.#tell(worker, { kind: 'replicas', messages, ages });
        ready.resolve({ host: message.host, port: message.port });
      }
    });
    worker.on('error', () => undefined); // its end says what there is to say
    worker.on('exit', (code, signal) => {
      clearTimeout(timer);
      this.counters.gone(worker.id);
      this.#members.delete(member);
      this.#past = mergeFamilies([this.#past, member.told.filter(({ type }) => type !== 'gauge')]);
      ready.reject(new Error(`a worker ended before it was ready (${signal ?? code})`));
      ended.resolve();
      if (member.leaving || member.spare || this.#stopping) return;
      this.#options.logger.error('worker.ended', { worker: index, code: code ?? -1, signal: signal ?? '' });
      setTimeout(() => {
        if (!this.#stopping) this.#fork(seat);
      }, RESTART_PAUSE).unref();
    });
    return member;
  }

  #leave(member: Member, patience: number): void {
    member.leaving = true;
    this.#tell(member.worker, { kind: 'drain', patience });
  }

  #spread(messages: readonly ReplicaMessage[], from: Member | null): void {
    this.#history.add(messages, this.#options.clock.monotonic());
    for (const member of this.#members) if (member !== from && member.isReady) this.#tell(member.worker, { kind: 'replicas', messages });
  }

  #tell(worker: Worker, message: ToWorker): void {
    if (worker.isConnected()) worker.send(message, () => undefined);
  }

  async #askAll(kind: 'refresh' | 'reload'): Promise<void> {
    await Promise.all([...this.#members].map((member) => this.#ask(member, kind)));
  }

  async #ask(member: Member, kind: 'refresh' | 'metrics' | 'reload'): Promise<readonly Family[]> {
    this.#lastAsked += 1;
    const id = this.#lastAsked;
    const { promise, resolve } = Promise.withResolvers<readonly Family[]>();
    this.#asked.set(id, resolve);
    const timer = setTimeout(() => resolve([]), ASK_PATIENCE);
    void member.ended.then(() => resolve([]));
    this.#tell(member.worker, { kind, id });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#asked.delete(id);
    }
  }
}

/** Whether one of two snapshots is of an older store, or of the same and longer not known to be the newest. */
function isBehind(one: SnapshotStatus, other: SnapshotStatus): boolean {
  const [a, b] = [one.sourceVersion ?? -1, other.sourceVersion ?? -1];
  return a < b || (a === b && (one.staleSince ?? Number.POSITIVE_INFINITY) < (other.staleSince ?? Number.POSITIVE_INFINITY));
}
