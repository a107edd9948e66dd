import { type Clock, systemClock } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import { INSTALLATION_SETTING } from '../service/init.ts';
import type { SnapshotSource } from './feed.ts';

/** Ended keys are kept so long, so that their users are told that the key was revoked and not that it is unknown. Milliseconds. */
const MEMORY_OF_ENDED = 7 * 86_400_000;

/** The store as a source of snapshots. */
export function storeSource(store: Pick<Store, 'version' | 'state' | 'settings'>, clock: Clock = systemClock): SnapshotSource {
  return {
    version: () => store.version(),
    async load() {
      const id = await store.settings.get(INSTALLATION_SETTING);
      const { version, keys, users, roles, prompts, allowances } = await store.state(clock.now() - MEMORY_OF_ENDED);
      return { id, version, keys, roles, prompts, allowances, users: new Map(users.map((user) => [user.id, user])) };
    },
  };
}
