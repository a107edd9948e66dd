import { openReplicaChannel, type ReplicaMessage, type ReplicaRelay } from '@sallyport/access';
import { type Config, resolveSecret } from '@sallyport/control';
import { RiskWatch } from '@sallyport/gateway';
import type { Installation } from '../installation.ts';
import type { Telemetry } from './telemetry.ts';

/** A process's ear and mouth among the replicas. */
export interface Replicas extends AsyncDisposable {
  readonly relay: ReplicaRelay;
}

/** Joins the news in the server that counts the limits; null where each process counts for itself. */
export async function joinReplicas(
  installation: Installation,
  onMessage: (message: ReplicaMessage, age: number) => void,
): Promise<Replicas | null> {
  const { config, home, clock, random, logger } = installation;
  const { url, password, ca } = config.counters;
  if (url === 'memory:') return null;
  const secret = (reference: string | null): string | null => (reference === null ? null : resolveSecret(reference).value);
  const counters = { url, password: secret(password), ca: secret(ca) };
  const channel = await openReplicaChannel({ counters, pepper: home.pepper, clock, random, logger, onMessage });
  return { relay: channel, [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() };
}

/** What the gateways of other processes hold against callers, for the operator: from their news, told to them where it is lifted. */
export class RiskElsewhere implements AsyncDisposable {
  readonly board: RiskWatch;
  readonly #replicas: Replicas | null;

  private constructor(board: RiskWatch, replicas: Replicas | null) {
    this.board = board;
    this.#replicas = replicas;
  }

  /** `among` tells workers of this process; their news come to `board.apply`. Null where this process hears of no gateway. */
  static async join(installation: Installation, telemetry: Telemetry, among: ReplicaRelay | null): Promise<RiskElsewhere | null> {
    const { clock, random, logger, config } = installation;
    let board: RiskWatch | null = null;
    const replicas = await joinReplicas(installation, (message, age) => {
      if (message.kind !== 'breaker') board?.apply(message, age);
    });
    const relay = replicas?.relay ?? among;
    if (relay === null) return null;
    board = new RiskWatch({ ledger: telemetry.ledger, logger, clock, random, relay, onBlocked: () => undefined, enforces: false });
    board.configure(config.risk);
    return new RiskElsewhere(board, replicas);
  }

  adopt(config: Config): void {
    this.board.configure(config.risk);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.board[Symbol.dispose]();
    await this.#replicas?.[Symbol.asyncDispose]();
  }
}
