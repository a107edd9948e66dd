import { type EntryFacts, NO_EXCHANGE } from '@sallyport/core';
import type { LedgerOptions } from './ledger.ts';

/** What the ledger records of itself. */
export function systemFacts(
  { random, writer }: Pick<LedgerOptions, 'random' | 'writer'>,
  action: string,
  detail: EntryFacts['detail'],
): EntryFacts {
  return {
    id: Buffer.from(random.bytes(16)).toString('hex'),
    kind: 'system',
    principal: null,
    source: null,
    action,
    resource: writer,
    decision: null,
    ...NO_EXCHANGE,
    detail,
  };
}
