/** Numbers that look random and are the same for the same seed. Not for secrets. */
export interface SeededRandom {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
  bytes(length: number): Buffer;
}

/** The mulberry32 generator (Tommy Ettinger, public domain): 32 bits of state, good enough to draw test data. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (bound: number): number => Math.floor(uniform() * bound);
  return {
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
