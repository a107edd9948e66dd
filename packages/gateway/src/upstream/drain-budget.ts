/** Bytes of one answer that are kept for a client that reads more slowly than the model writes. */
export const DRAIN_BYTES: number = 4 * 1024 * 1024;
/** Bytes kept for all of them. */
const ALL_BYTES = 256 * 1024 * 1024;

/**
 * What may be kept in memory so that a server is done with a request although its client is slow: the server's slot is for the next in
 * line, not for waiting. Beyond it a slow client slows its server, as without.
 */
export class DrainBudget {
  #used = 0;

  /** False where there is no room. */
  take(bytes: number): boolean {
    if (this.#used + bytes > ALL_BYTES) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
