import type { Call, Global, Value } from './value.ts';

/** How a walk ended: with STOP, or broken. `end` is the offset after the last instruction that was understood. */
export interface StreamEnd {
  readonly stopped: boolean;
  readonly end: number;
  readonly instructions: number;
  readonly reason: string;
}

/** What no pickler writes and a loader accepts. */
export type Anomaly = 'frame' | 'protocol' | 'memo' | 'expansion' | 'leftover' | 'truncated';

/** What a walk tells its listener, in the order a loader would do it. Offsets are those of the source. */
export interface Listener {
  imported(global: Global): void;
  called(call: Call): void;
  /** BUILD on a value: `target` is what gets the state. */
  built(target: Value, state: Value, offset: number): void;
  /** Items were put into the result of a call. */
  filled(target: Call, offset: number): void;
  /** A string or bytes literal that could itself hold a pickle. */
  literal(start: number, length: number): void;
  anomaly(kind: Anomaly, message: string, offset: number): void;
  /** After BUILD: bytes that the loader reads off the stream itself (joblib). Gives where the walk goes on. */
  skip(built: Value, offset: number): number;
  /** For every 256 KiB walked, with the numbers of values held and of what only attacks have many of: values thrown away, objects nested deeply. May throw. */
  tick(held: number, discarded: number): void;
}
