import { NO_EXCHANGE } from '@sallyport/core';
import type { Installation } from '../installation.ts';

/** What the ledger says of the process itself. */
export function systemEntry(
  { random }: Installation,
  action: string,
  detail: Record<string, string | number>,
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
    detail,
  };
}
