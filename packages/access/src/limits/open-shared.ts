import type { SharedStore, SharedStoreOptions } from './shared-store.ts';

/** Opens counters that processes share. The client library is loaded only here: most installations are one process. */
export async function openSharedStore(options: SharedStoreOptions): Promise<SharedStore> {
  const { SharedStore } = await import('./shared-store.ts');
  return await SharedStore.open(options);
}
