/** What is known of an upstream from its own traffic and from probes. Times are epoch milliseconds. */
export interface HealthReport {
  readonly name: string;
  readonly state: 'unknown' | 'healthy' | 'degraded';
  /** A stable failure code (`ECONNREFUSED`, `upstream_timeout`), never text of the upstream. */
  readonly reason: string | null;
  readonly since: number | null;
}

/** Failures in a row after which an upstream is reported degraded. */
const DEGRADED_AFTER = 3;

/** Counts consecutive failures of one upstream. One success makes it healthy again. */
export class UpstreamHealth {
  #failures = 0;
  #reason: string | null = null;
  #since: number | null = null;
  #seen = false;

  succeeded(now: number): void {
    if (this.#failures > 0 || !this.#seen) this.#since = now;
    this.#seen = true;
    this.#failures = 0;
    this.#reason = null;
  }

  failed(reason: string, now: number, certain: boolean = false): void {
    if (this.#failures === 0) this.#since = now;
    this.#seen = true;
    this.#failures = certain ? Math.max(this.#failures + 1, DEGRADED_AFTER) : this.#failures + 1;
    this.#reason = reason;
  }

  report(name: string): HealthReport {
    if (!this.#seen) return { name, state: 'unknown', reason: null, since: null };
    const degraded = this.#failures >= DEGRADED_AFTER;
    return { name, state: degraded ? 'degraded' : 'healthy', reason: this.#reason, since: this.#since };
  }
}
