/** Who makes a call. The kinds follow the project's vocabulary: a person, an application, or a workload. */
export type PrincipalKind = 'person' | 'application' | 'workload';

/**
 * How a principal proved itself. `id` names the proof without revealing it (a key's public id, a token's `jti`, a certificate's digest).
 * `local` is the operating system account that may read the installation's own files; it never comes over a network.
 */
export interface Credential {
  readonly kind: 'api-key' | 'jwt' | 'client-certificate' | 'local';
  readonly id: string;
  /** Epoch milliseconds after which the proof no longer counts, or null where it does not expire. */
  readonly expiresAt: number | null;
  /** Name of the snapshot row that admits it: a token's issuer, a certificate's identity. Absent for an API key, whose `id` is its row. */
  readonly admittedBy?: string;
}

/** An authenticated caller. Everything here was established by Sallyport; nothing is taken from the request unchecked. */
export interface Principal {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  /** The user who owns the credential, where it belongs to a person; equals `id` for people. */
  readonly user: string | null;
  readonly team: string | null;
  readonly roles: readonly string[];
  readonly credential: Credential;
}

/** Where a call came from, after the trusted-proxy list was applied. */
export interface Source {
  /** Canonical textual address; IPv4-mapped IPv6 is given as IPv4. */
  readonly ip: string;
  readonly port: number;
  readonly tls: { readonly version: string; readonly cipher: string; readonly clientCertificate: string | null } | null;
}
