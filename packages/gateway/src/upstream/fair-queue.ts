/** For whom something waits, and how much of the server it will take. */
export interface Claim {
  readonly tenant: string;
  /** Share of the tenant among those of its priority. */
  readonly weight: number;
  readonly priority: string;
  /** Share of the priority among all. */
  readonly priorityWeight: number;
  /** Tokens it is expected to take, at least 1. */
  readonly cost: number;
}

/** Everything that waits in one order of arrival, with its place in virtual time. */
class Flow<T> {
  readonly waiting = new Set<T>();
  weight: number;
  /** Virtual time at which what was served last is paid for. */
  paid: number;

  constructor(weight: number, now: number) {
    this.weight = weight;
    this.paid = now;
  }
}

class Class<T> {
  readonly flows = new Map<string, Flow<T>>();
  weight: number;
  paid: number;
  now = 0;

  constructor(weight: number, now: number) {
    this.weight = weight;
    this.paid = now;
  }
}

/** Tenants whose place in virtual time is kept after they have nothing waiting. */
const REMEMBERED_FLOWS = 1_000;

/**
 * Start-time fair queueing (Goyal, Vin, Cheng 1996) at two levels: first among priorities, then among the tenants of one, each by weight
 * and by the tokens that are asked for. Within a tenant the order is that of arrival. Whoever floods only makes the own line longer.
 */
export class FairQueue<T extends { readonly claim: Claim }> {
  readonly #classes = new Map<string, Class<T>>();
  #now = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(waiter: T): void {
    const { tenant, weight, priority, priorityWeight } = waiter.claim;
    let group = this.#classes.get(priority);
    if (group === undefined) {
      group = new Class(priorityWeight, this.#now);
      this.#classes.set(priority, group);
    }
    group.weight = priorityWeight;
    let flow = group.flows.get(tenant);
    if (flow === undefined) {
      if (group.flows.size >= REMEMBERED_FLOWS) forgetIdle(group);
      flow = new Flow(weight, group.now);
      group.flows.set(tenant, flow);
    }
    flow.weight = weight;
    flow.waiting.add(waiter);
    this.#size += 1;
  }

  remove(waiter: T): void {
    if (this.#classes.get(waiter.claim.priority)?.flows.get(waiter.claim.tenant)?.waiting.delete(waiter) === true) this.#size -= 1;
  }

  /** The next in line of those that `may`, taken out; null where nobody waits. Of a tenant's only the first is looked at. */
  next(may: (waiter: T) => boolean = () => true): T | null {
    const isNext = ({ waiting }: Flow<T>): boolean => {
      for (const first of waiting) return may(first);
      return false;
    };
    const group = earliest(this.#classes.values(), this.#now, ({ flows }) => hasAny(flows, isNext));
    if (group === null) return null;
    const flow = earliest(group.flows.values(), group.now, isNext);
    const [waiter] = flow?.waiting ?? [];
    if (flow === null || waiter === undefined) return null;
    flow.waiting.delete(waiter);
    this.#size -= 1;
    this.#now = Math.max(group.paid, this.#now);
    group.paid = this.#now + waiter.claim.cost / group.weight;
    group.now = Math.max(flow.paid, group.now);
    flow.paid = group.now + waiter.claim.cost / flow.weight;
    return waiter;
  }

  /** How many a newcomer with this claim would find before it, if all were of one size: its own line, and as many of each other tenant's. */
  ahead(claim: Claim): number {
    const flows = this.#classes.get(claim.priority)?.flows;
    const own = flows?.get(claim.tenant)?.waiting.size ?? 0;
    let ahead = own;
    for (const [tenant, { waiting }] of flows ?? []) if (tenant !== claim.tenant) ahead += Math.min(waiting.size, own + 1);
    return ahead;
  }

  /** Who came last of the tenant with the longest line; null where no line is longer than that of `claim` will be. */
  lastOfLongest(claim: Claim): T | null {
    let longest: Set<T> | null = null;
    for (const { flows } of this.#classes.values()) {
      for (const { waiting } of flows.values()) if (waiting.size > (longest?.size ?? 0)) longest = waiting;
    }
    const own = this.#classes.get(claim.priority)?.flows.get(claim.tenant)?.waiting.size ?? 0;
    if (longest === null || longest.size <= own + 1) return null;
    return [...longest].at(-1) ?? null;
  }
}

function earliest<T extends { readonly paid: number }>(all: Iterable<T>, now: number, counts: (one: T) => boolean): T | null {
  let first: T | null = null;
  for (const one of all) if (counts(one) && (first === null || Math.max(one.paid, now) < Math.max(first.paid, now))) first = one;
  return first;
}

function hasAny<T>(flows: ReadonlyMap<string, Flow<T>>, isNext: (flow: Flow<T>) => boolean): boolean {
  for (const flow of flows.values()) if (isNext(flow)) return true;
  return false;
}

/** Who has nothing waiting and owes nothing is as good as new. */
function forgetIdle<T>(group: Class<T>): void {
  for (const [tenant, { waiting, paid }] of group.flows) if (waiting.size === 0 && paid <= group.now) group.flows.delete(tenant);
}
