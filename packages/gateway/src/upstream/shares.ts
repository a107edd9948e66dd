import type { Claim } from './fair-queue.ts';

interface Share {
  weight: number;
  held: number;
  /** Monotonic milliseconds. */
  askedAt: number;
}

/** What each tenant has of the slots of one server, of those that hold some or have asked of late. */
export class Shares {
  readonly #tenants = new Map<string, Share>();

  asked({ tenant, weight, priorityWeight }: Claim, now: number): void {
    const share = this.#tenants.get(tenant);
    if (share === undefined) this.#tenants.set(tenant, { weight: weight * priorityWeight, held: 0, askedAt: now });
    else {
      share.weight = weight * priorityWeight;
      share.askedAt = now;
    }
  }

  /** Of a tenant that never `asked` the weight is not known, and it is forgotten as soon as it holds nothing. */
  holds(tenant: string, change: 1 | -1): void {
    const share = this.#tenants.get(tenant);
    if (share === undefined) {
      if (change === 1) this.#tenants.set(tenant, { weight: 1, held: 1, askedAt: Number.NEGATIVE_INFINITY });
      return;
    }
    share.held = Math.max(0, share.held + change);
    if (share.held === 0 && share.askedAt === Number.NEGATIVE_INFINITY) this.#tenants.delete(tenant);
  }

  /** Whether another tenant, which has asked since then, holds less for its weight. */
  hasLess(tenant: string, since: number): boolean {
    const own = this.#tenants.get(tenant);
    if (own === undefined || own.held === 0) return false;
    for (const [name, share] of this.#tenants) {
      if (share.askedAt >= since) {
        if (share.held / share.weight < own.held / own.weight) return true;
      } else if (share.held === 0) this.#tenants.delete(name);
    }
    return false;
  }
}
