import { type Config, printConfig } from '@sallyport/control';
import { NO_EXCHANGE, type Outcome } from '@sallyport/core';
import type { Installation } from '../installation.ts';

/** What the ledger says of the process itself. */
export function systemEntry(
  { random }: Pick<Installation, 'random'>,
  action: string,
  detail: Record<string, string | number>,
  outcome: Outcome = 'done',
): Parameters<Installation['record']>[0] {
  return {
    id: Buffer.from(random.bytes(12)).toString('base64url'),
    kind: 'system',
    principal: null,
    source: null,
    action,
    resource: null,
    decision: null,
    ...NO_EXCHANGE,
    outcome,
    detail,
  };
}

/** Keyed digest of the configuration in force, every default written out, secrets as references: equal ones are equal. */
export function configurationDigest({ ledger }: Installation, config: Config): string {
  return ledger.digest(printConfig(config));
}
