import type { EntryFacts } from '@sallyport/core';
import type { Receipt } from './entry.ts';
import type { Ledger, OpenExchange } from './ledger.ts';

/** Records that an exchange begins, and holds what will record its end. @throws as `Ledger.append` */
export async function openExchange(ledger: Pick<Ledger, 'append'>, facts: EntryFacts): Promise<OpenExchange> {
  const receipt = await ledger.append({ ...facts, outcome: 'open' });
  let end: Promise<Receipt> | null = null;
  const conclude = (last: EntryFacts): Promise<Receipt> => {
    end ??= ledger.append({ ...last, detail: { ...last.detail, opened: receipt.seq } });
    return end;
  };
  return {
    receipt,
    conclude,
    async [Symbol.asyncDispose]() {
      // Nobody said how the exchange ended, which is an end too.
      await conclude({ ...facts, outcome: 'failed', fault: 'internal_error' });
    },
  };
}
