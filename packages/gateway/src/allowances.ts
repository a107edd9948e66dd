import { type AllowedFinding, allowanceDigest, allowsWholeText, isAllowable } from '@sallyport/access';
import type { Finding, GuardAllowance } from '@sallyport/core';
import type { Allowed } from '@sallyport/guard';

/** Told of findings that an operator has allowed. */
export interface AllowedSink {
  allowed(findings: readonly Pick<Finding, 'detector' | 'category'>[]): void;
}

/** The false positives of a snapshot that operators allow, by tenant. */
export class Allowances {
  readonly #tenants = new Map<string, TenantAllowances>();

  constructor(allowances: readonly GuardAllowance[], key: Uint8Array) {
    for (const allowance of allowances) {
      let tenant = this.#tenants.get(allowance.tenant);
      if (tenant === undefined) {
        tenant = new TenantAllowances(allowance.tenant, key);
        this.#tenants.set(allowance.tenant, tenant);
      }
      tenant.add(allowance);
    }
  }

  /** Null for a tenant that has none, which is most. */
  of(tenant: string): TenantAllowances | null {
    return this.#tenants.get(tenant) ?? null;
  }
}

export class TenantAllowances {
  readonly #tenant: string;
  readonly #key: Uint8Array;
  /** Digest to when it ends, epoch milliseconds. */
  readonly #ends = new Map<string, number>();
  readonly #detectors = new Set<string>();

  constructor(tenant: string, key: Uint8Array) {
    this.#tenant = tenant;
    this.#key = key;
  }

  add({ digest, detector, expiresAt }: GuardAllowance): void {
    this.#ends.set(digest, Math.max(expiresAt, this.#ends.get(digest) ?? 0));
    this.#detectors.add(detector);
  }

  /** What is allowed in one text. `whole` is the text where all of it is known, else null: what is for a whole text then does not count. */
  in(whole: string | null, now: number, sink: AllowedSink): Allowed {
    const told = new Set<string>();
    const wholes = new Map<string, string>();
    return {
      allows: (detector, category, matched) => {
        if (!this.#detectors.has(detector) || !isAllowable({ detector, category })) return false;
        const finding: AllowedFinding = { tenant: this.#tenant, detector, category };
        const name = `${detector}/${category}`;
        let digest: string | undefined;
        if (!allowsWholeText(detector)) digest = allowanceDigest(this.#key, finding, matched);
        else if (whole === null) return false;
        else {
          digest = wholes.get(name) ?? allowanceDigest(this.#key, finding, whole);
          wholes.set(name, digest);
        }
        if ((this.#ends.get(digest) ?? 0) <= now) return false;
        if (!told.has(digest)) sink.allowed([{ detector, category }]);
        told.add(digest);
        return true;
      },
    };
  }
}
