/** Microseconds of CLOCK_MONOTONIC, which all processes of a machine share (clock_gettime(2)). */
export function monotonicMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1000);
}
