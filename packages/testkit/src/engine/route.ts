import type { Exchange } from './exchange.ts';

/** One endpoint of the engine. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: (exchange: Exchange) => Promise<void>;
}
