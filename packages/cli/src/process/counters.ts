import { type CounterState, type CounterStore, MemoryStore, openSharedStore } from '@sallyport/access';
import { resolveSecret } from '@sallyport/control';
import type { Installation } from '../installation.ts';
import { systemEntry } from './system-entry.ts';

/** The counters of a process: in its own memory, or in the server the configuration names. */
export interface OpenCounters extends AsyncDisposable {
  readonly store: CounterStore;
}

const EVENTS: Readonly<Record<CounterState, { readonly action: string; readonly effect: string }>> = {
  'away-refusing': { action: 'counters.away', effect: 'refuse' },
  'away-local-shares': { action: 'counters.away', effect: 'local' },
  back: { action: 'counters.back', effect: 'kept' },
  'back-without-counts': { action: 'counters.back', effect: 'lost' },
};

/** Opens the counters. A server that is away is no error: policy says what happens to requests, and the ledger that it was so. */
export async function openCounters(installation: Installation, inMemory?: CounterStore): Promise<OpenCounters> {
  const { config, home, clock, random, logger } = installation;
  const { url, password, ca, onUnavailable, shares } = config.counters;
  if (url === 'memory:') return { store: inMemory ?? new MemoryStore(clock), [Symbol.asyncDispose]: async () => undefined };
  const secret = (reference: string | null): string | null => (reference === null ? null : resolveSecret(reference).value);
  const store = await openSharedStore({
    counters: { url, password: secret(password), ca: secret(ca), onUnavailable, shares },
    pepper: home.pepper,
    clock,
    random,
    logger,
    onState: (state) => {
      const { action, effect } = EVENTS[state];
      logger[action === 'counters.back' && effect === 'kept' ? 'info' : 'error'](action, { effect });
      installation
        .record(systemEntry(installation, action, { effect }))
        .catch(() => logger.error('counters.not-recorded', { action, effect }));
    },
  });
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}
