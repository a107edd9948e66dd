/** Time. `now` is wall-clock epoch milliseconds, `monotonic` milliseconds from an arbitrary origin that never go back. */
export interface Clock {
  now(): number;
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** Cryptographically strong random bytes. */
export interface Random {
  bytes(length: number): Uint8Array;
}

/** Structured operator log. Values must not hold text of prompts, replies or credentials. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
