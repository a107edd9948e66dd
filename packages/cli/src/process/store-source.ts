import { type Config, type SnapshotSource, type SourceState, storeSource } from '@sallyport/control';
import type { Clock, Logger } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import { openConfiguredStore } from '../installation.ts';

/** A store that is opened when it can be: a gateway on its own starts from its cached snapshot while its database is away. */
export class LateStoreSource implements SnapshotSource, AsyncDisposable {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #store: Promise<Store> | null = null;

  constructor(config: Config, logger: Logger, clock: Clock) {
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
  }

  async version(signal: AbortSignal): Promise<number> {
    return storeSource(await this.#open(), this.#clock).version(signal);
  }

  async load(signal: AbortSignal): Promise<SourceState> {
    return storeSource(await this.#open(), this.#clock).load(signal);
  }

  #open(): Promise<Store> {
    this.#store ??= openConfiguredStore(this.#config, this.#logger).catch((error: unknown) => {
      this.#store = null;
      throw error;
    });
    return this.#store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => null);
    await store?.close();
  }
}
