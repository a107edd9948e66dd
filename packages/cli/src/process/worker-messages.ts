import type { CounterAnswer, CounterQuestion, ReplicaMessage } from '@sallyport/access';
import type { Family, SnapshotStatus } from '@sallyport/control';
import type { Seat } from '@sallyport/gateway';

/** What a worker tells the process that started it. */
export type FromWorker =
  | { readonly kind: 'ready'; readonly host: string; readonly port: number }
  | { readonly kind: 'counters'; readonly questions: readonly CounterQuestion[] }
  /** For all other workers. */
  | { readonly kind: 'replicas'; readonly messages: readonly ReplicaMessage[] }
  /** What it serves from, where that is another than it told. */
  | { readonly kind: 'snapshot'; readonly status: SnapshotStatus | null }
  /** What was asked for is done; `families` where metrics were. */
  | { readonly kind: 'done'; readonly id: number; readonly families: readonly Family[] };

/** What it is told. Each `id` is answered by `done`. */
export type ToWorker =
  | { readonly kind: 'counters'; readonly answers: readonly CounterAnswer[] }
  /** `ages`: how long ago each was told, milliseconds, where that is not now. */
  | { readonly kind: 'replicas'; readonly messages: readonly ReplicaMessage[]; readonly ages?: readonly number[] }
  | { readonly kind: 'refresh' | 'metrics' | 'reload'; readonly id: number }
  /** Ends once everything it runs has, or after `patience` milliseconds. */
  | { readonly kind: 'drain'; readonly patience: number };

/** Name of the environment variable that says which worker a process is. */
export const WORKER_VARIABLE = 'SALLYPORT_WORKER';
/** That of its seat, `number/of`: one that replaces another has the other's. */
export const SEAT_VARIABLE = 'SALLYPORT_WORKER_SEAT';

export function formatSeat({ number, of }: Seat): string {
  return `${number}/${of}`;
}

export function parseSeat(text: string): Seat {
  const [number = 0, of = 1] = text.split('/').map(Number);
  return { number, of };
}
