import { isIPv4 } from 'node:net';

const WINDOW = 60_000;
const MAX_ADDRESSES = 4096;

/**
 * How often an address may fail to authenticate: `allowed` times a minute. Keys cannot be guessed anyway; this bounds what somebody
 * without a key can make the ledger and the log write. IPv6 counts by /64, which is what one subscriber has.
 */
export class FailureBudget {
  readonly #allowed: number;
  readonly #failures = new Map<string, { count: number; since: number }>();

  constructor(allowed: number) {
    this.#allowed = allowed;
  }

  /** Seconds until the address may try again, or 0 where it may now. `now` is monotonic milliseconds. */
  waitFor(ip: string, now: number): number {
    const record = this.#failures.get(networkOf(ip));
    if (record === undefined || now - record.since >= WINDOW || record.count < this.#allowed) return 0;
    return Math.ceil((record.since + WINDOW - now) / 1000);
  }

  fail(ip: string, now: number): void {
    const network = networkOf(ip);
    const record = this.#failures.get(network);
    if (record !== undefined && now - record.since < WINDOW) {
      record.count++;
      return;
    }
    // Insertion order is age: the oldest makes room, so that addresses by the million cost no memory.
    this.#failures.delete(network);
    if (this.#failures.size >= MAX_ADDRESSES) {
      for (const oldest of this.#failures.keys()) {
        this.#failures.delete(oldest);
        break;
      }
    }
    this.#failures.set(network, { count: 1, since: now });
  }
}

function networkOf(ip: string): string {
  if (isIPv4(ip)) return ip;
  // Canonical IPv6 (RFC 5952): write `::` out and keep the first four groups.
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  while (tail !== undefined && groups.length + after.length < 8) groups.push('0');
  return [...groups, ...after].slice(0, 4).join(':');
}
