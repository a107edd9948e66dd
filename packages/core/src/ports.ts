/**
 * Time. `now` is wall-clock epoch milliseconds, `monotonic` milliseconds from an arbitrary origin that never go back. The system's is the
 * same for all processes of a machine.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
}

const PROCESS_START = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => PROCESS_START + performance.now() };

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
