import { type Config, checkPepper, type Home, type SnapshotSource, type SourceState, storeSource } from '@sallyport/control';
import type { Clock, Logger } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import { openConfiguredStore } from '../installation.ts';

/** A store that is opened when it can be: a gateway on its own starts from its cached snapshot while its database is away. */
export class LateStoreSource implements SnapshotSource, AsyncDisposable {
  readonly #config: Config;
  readonly #home: Home;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #store: Promise<Store> | null = null;

  constructor(config: Config, home: Home, logger: Logger, clock: Clock) {
    this.#home = home;
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
  }

  async version(signal: AbortSignal): Promise<number> {
    return storeSource(await this.open(), this.#clock).version(signal);
  }

  async load(signal: AbortSignal): Promise<SourceState> {
    return storeSource(await this.open(), this.#clock).load(signal);
  }

  /** The store, once it is there. Throws `Fault('not_ready')` while it is away, `WrongPepper` where it is not this home's. */
  open(): Promise<Store> {
    this.#store ??= this.#openChecked().catch((error: unknown) => {
      this.#store = null;
      throw error;
    });
    return this.#store;
  }

  async #openChecked(): Promise<Store> {
    const store = await openConfiguredStore(this.#config, this.#logger);
    try {
      await checkPepper(store.settings, this.#home.pepper, this.#home.created);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => null);
    await store?.close();
  }
}
