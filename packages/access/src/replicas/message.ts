import type { RiskMessage } from '../risk/book.ts';

/** A breaker that opened for everybody, or closed again. `model` is the server's own name, null where it is about the server as a whole. */
export interface BreakerMessage {
  readonly kind: 'breaker';
  readonly upstream: string;
  readonly model: string | null;
  /** `busy`: the server itself said that it takes nothing for `milliseconds`. */
  readonly news: 'open' | 'closed' | 'busy';
  readonly milliseconds: number;
  readonly reason: string;
}

/** What replicas of an installation tell each other. Best effort: what is lost makes a score smaller or a breaker later, no more. */
export type ReplicaMessage = RiskMessage | BreakerMessage;

/** Carries messages to the other replicas, or to other workers of this one. */
export interface ReplicaRelay {
  send(message: ReplicaMessage): void;
}

const KINDS: ReadonlySet<unknown> = new Set(['signal', 'well', 'reset', 'breaker']);
const SIGNALS: ReadonlySet<unknown> = new Set(['blocked', 'flagged', 'authentication', 'denied', 'enumeration', 'limited']);

/** Whether a value is a message of this version; another version of the program may run beside it. */
export function isReplicaMessage(value: unknown): value is ReplicaMessage {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, subject, signal, times, upstream, model, news, milliseconds, reason } = value as Record<string, unknown>;
  if (!KINDS.has(kind)) return false;
  if (kind === 'breaker') {
    const isNamed = typeof upstream === 'string' && (model === null || typeof model === 'string') && typeof reason === 'string';
    return isNamed && (news === 'open' || news === 'closed' || news === 'busy') && isAmount(milliseconds);
  }
  if (typeof subject !== 'string' || !/^(principal|session|address):./.test(subject)) return false;
  return kind === 'reset' || (isAmount(times) && (kind === 'well' || SIGNALS.has(signal)));
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Without what was lifted since: nobody is kept out for a moment of the past. */
export function unlifted<T extends readonly [ReplicaMessage, number]>(heard: readonly T[]): readonly T[] {
  const lifted = new Set<string>();
  return heard
    .toReversed()
    .filter(([message]) => {
      if (message.kind === 'breaker' || message.kind === 'well') return true;
      if (message.kind === 'reset') return lifted.add(message.subject);
      return !lifted.has(message.subject);
    })
    .reverse();
}
