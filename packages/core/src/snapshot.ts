import type { Action } from './decision.ts';
import type { ClassifierSettings, GuardAllowance, GuardOverride, ReplyContract, ScoreThresholds } from './guard-policy.ts';
import type { PrincipalKind } from './principal.ts';

/**
 * Everything the data plane needs to decide, frozen and versioned. Made by the control plane, read by the gateway, kept on disk as
 * JSON so that a gateway can start and serve while its database is away. Plain data: no functions, no classes, maps as records
 * without a prototype on load (`Object.create(null)`), so a name such as `__proto__` is only a name.
 */
export interface Snapshot {
  /** Increases with every change; a gateway never goes back to a smaller one. */
  readonly version: number;
  /** Epoch milliseconds. */
  readonly builtAt: number;
  readonly keys: ReadonlyMap<string, KeyRecord>;
  readonly roles: ReadonlyMap<string, Role>;
  readonly issuers: readonly Issuer[];
  readonly certificateIdentities: readonly CertificateIdentity[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** By public model name: what clients ask for. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly limits: readonly LimitRule[];
  /** The newest version of each system prompt, by name. */
  readonly prompts: ReadonlyMap<string, SealedPrompt>;
  readonly guard: GuardSettings;
  /** False positives that operators allow, those in force when it was built. */
  readonly allowances: readonly GuardAllowance[];
  readonly http: HttpSettings;
  readonly egress: EgressSettings;
  readonly fairness: FairnessSettings;
  readonly risk: RiskSettings;
}

/** A stored API key. The secret is not in it: `digests` are HMAC-SHA-256 values under the pepper, base64url, newest first (two while a rotation overlaps). */
export interface KeyRecord {
  readonly id: string;
  readonly name: string;
  readonly digests: readonly KeyDigest[];
  readonly principal: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  readonly user: string | null;
  readonly team: string | null;
  readonly roles: readonly string[];
  /** Public model names or globs (`llama*`) this key may use; null is every model its roles permit. */
  readonly models: readonly string[] | null;
  /** CIDR blocks the key may be used from; null is anywhere. */
  readonly allowedIps: readonly string[] | null;
  /** Epoch milliseconds. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly limits: readonly LimitRule[];
}

export interface KeyDigest {
  readonly hmac: string;
  /** Epoch milliseconds after which this (rotated) secret ends, or null for the current one. */
  readonly until: number | null;
}

/** A named set of permissions. `models` limits the `model.*` actions to public names or globs; null is all. */
export interface Role {
  readonly name: string;
  readonly builtIn: boolean;
  readonly actions: readonly Action[];
  readonly models: readonly string[] | null;
}

/** A JWT issuer whose bearer tokens are accepted on the data plane. */
export interface Issuer {
  readonly name: string;
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly algorithms: readonly string[];
  readonly jwksUri: string;
  /** Claim names, dot separated for nested ones. */
  readonly claims: {
    readonly subject: string;
    readonly tenant: string | null;
    readonly roles: string | null;
    readonly team: string | null;
  };
  readonly tenant: string;
  /** Roles given to every caller of this issuer; a claim adds those of `roleMap`. */
  readonly roles: readonly string[];
  readonly roleMap: Readonly<Record<string, string>>;
  /** Seconds of clock difference tolerated. */
  readonly clockTolerance: number;
}

/** Maps a verified client certificate to a principal: by SPIFFE ID (exact or `spiffe://domain/path/*`) or by SHA-256 fingerprint. */
export interface CertificateIdentity {
  readonly name: string;
  readonly spiffeId: string | null;
  readonly fingerprint: string | null;
  readonly principal: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly models: readonly string[] | null;
}

export type UpstreamKind = 'ollama' | 'openai' | 'vllm' | 'llamacpp' | 'tgi' | 'anthropic' | 'demo';

/** An inference server. Times are milliseconds. */
export interface Upstream {
  readonly name: string;
  readonly kind: UpstreamKind;
  /** `http(s)://host:port[/base]`; for `demo` an empty string. */
  readonly url: string;
  /** Path of a Unix socket to connect to instead of the URL's host. */
  readonly socketPath: string | null;
  readonly maxConcurrency: number | null;
  readonly connections: number;
  readonly timeouts: { readonly connect: number; readonly firstByte: number; readonly idle: number; readonly total: number };
  readonly retries: number;
  /** Opens after `failures` in a row (0: never) for `open` milliseconds, twice as long each time, up to `maxOpen`. */
  readonly breaker: { readonly failures: number; readonly open: number; readonly maxOpen: number };
  /**
   * Of a server with `maxConcurrency`: how many may wait for each slot, how long (milliseconds), and after how long a client that keeps
   * its server waiting is cut where others wait.
   */
  readonly queue: { readonly perSlot: number; readonly wait: number; readonly slowClient: number };
  /** A credential for the upstream, by reference (`env:`, `file:`); resolved by the gateway, never part of a snapshot file. */
  readonly credential: string | null;
  readonly tls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly serverName: string | null;
    /** `sha256/BASE64` of the SubjectPublicKeyInfo (RFC 7469); any match is enough. */
    readonly pins: readonly string[];
  } | null;
}

/** A system prompt, encrypted; only who has the pepper can open it. */
export interface SealedPrompt {
  readonly name: string;
  readonly version: number;
  /** Nonce, ciphertext and tag, base64url. */
  readonly sealed: string;
}

export interface Route {
  /** Public model name. */
  readonly name: string;
  readonly upstream: string;
  /** The upstream's own name of the model. */
  readonly target: string;
  readonly fallback: readonly string[];
  /** What its tokens cost; absent where it costs nothing. */
  readonly price?: Price;
  /** Further upstreams that serve the same `target`; each request goes to the one that is expected to be done first. */
  readonly replicas: readonly string[];
  /**
   * A second replica is asked where the first has not begun to answer after so many milliseconds, or after what 95 % of the answers took
   * of late; absent where none ever is.
   */
  readonly hedgeAfter?: number | 'p95';
  /** A text that is answered, as the model's, where neither the model nor a fallback can; null answers the fault. */
  readonly fallbackAnswer: string | null;
  /** Name of the system prompt every request for it is given, where it has one. */
  readonly prompt?: string;
}

/**
 * What the guard, the policy or the limits had to say of a caller: a blocked or flagged text, a credential that was refused, a call that
 * policy denied, a model that does not exist, a limit that was used up.
 */
export type RiskSignal = 'blocked' | 'flagged' | 'authentication' | 'denied' | 'enumeration' | 'limited';

/** When a caller that behaves badly is slowed, asked for a fresh credential, or kept out. Times are milliseconds. */
export interface RiskSettings {
  readonly enabled: boolean;
  readonly points: Readonly<Record<RiskSignal, number>>;
  /** In which a score halves. */
  readonly halfLife: number;
  readonly throttleAt: number;
  readonly throttlePerMinute: number;
  readonly challengeAt: number;
  readonly blockAt: number;
  readonly blockFor: number;
  /** CIDR blocks whose addresses have no score: an office behind one address. */
  readonly exempt: readonly string[];
}

/** Shares of a server that many wait for: first by priority, then by tenant. What is not named has the weight 1. */
export interface FairnessSettings {
  readonly tenants: readonly { readonly name: string; readonly weight: number }[];
  /** The first that names one of a caller's roles is the caller's. */
  readonly priorities: readonly { readonly name: string; readonly weight: number; readonly roles: readonly string[] }[];
}

/** Currency units per million tokens; the currency is whatever `spend` limits are meant in. `cached` is input the upstream had in its cache. */
export interface Price {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
}

export type LimitDimension = 'key' | 'user' | 'team' | 'tenant' | 'role' | 'model' | 'upstream' | 'address' | 'session' | 'global';
export type LimitQuantity = 'requests' | 'input-tokens' | 'output-tokens' | 'tokens' | 'concurrency' | 'spend';

/** A budget's period: the clock hour, the day, the week from Monday (ISO 8601) or the month in an IANA time zone. */
export interface CalendarPeriod {
  readonly unit: 'hour' | 'day' | 'week' | 'month';
  readonly zone: string;
}

/**
 * At most `amount` of `quantity` in any `window` milliseconds, or in each calendar period, for each value of `per`. `concurrency` has
 * neither.
 */
export interface LimitRule {
  readonly name: string;
  readonly per: LimitDimension;
  readonly quantity: LimitQuantity;
  /** A count; of `spend`, millionths of the currency unit. */
  readonly amount: number;
  /** Milliseconds of a sliding window; 0 for concurrency and calendar periods. */
  readonly window: number;
  readonly calendar?: CalendarPeriod;
  /** What happens to a stream that has used all there is: it is cut (default), or may finish and is counted. */
  readonly overrun?: 'cut' | 'finish';
  /** Only for these public model names or globs; null is every model. */
  readonly models: readonly string[] | null;
}

/** What the guard is told to do. The detector vocabulary belongs to the guard package, which validates `input` and `output`. */
export interface GuardSettings {
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** `observe` records only, `transform` redacts in flight, `hold` inspects the whole reply before any of it leaves. */
  readonly mode: 'observe' | 'transform' | 'hold';
  /** Operator patterns, linear-time syntax. */
  readonly deny: readonly DenyPattern[];
  /** Personal data by class; absent where the lists say all there is. */
  readonly pii?: PersonalSettings;
  /** Content classes by name; absent where the lists say all there is. */
  readonly content?: ContentSettings;
  /** `fault` answers `content_blocked`; `assistant` answers an assistant turn with `finish_reason: content_filter`. */
  readonly onBlock: 'fault' | 'assistant';
  /** What `unavailable` does. */
  readonly onUnavailable: 'block' | 'pass-unsafe';
  /** Largest single text, UTF-16 units, before it counts as a length anomaly. */
  readonly maxTextLength: number;
  readonly links: LinkSettings;
  /** By detector; absent where the calibrated ones stand. */
  readonly thresholds?: { readonly injection?: ScoreThresholds };
  /** Absent where replies may be anything. */
  readonly contract?: ReplyContract;
  /** Asked about what is suspicious and not certain; absent where nobody is. */
  readonly classifier?: ClassifierSettings;
  /** A candidate that runs beside this policy: what it would have done is recorded, and nothing else. */
  readonly shadow?: GuardSettings;
  /** Other policies for some calls; only of the installation's settings as a whole. */
  readonly overrides?: readonly GuardOverride[];
}

/** Where links and pictures of replies may lead. What is on no trusted host is judged by what it carries. */
export interface LinkSettings {
  /** Trusted host names; `*.example.com` is every host below it. */
  readonly hosts: readonly string[];
  /** True where every other host is refused. */
  readonly only: boolean;
}

/**
 * `mask` puts `[EMAIL_1]` in its place; `tokenise` does too and puts the value back into the reply to the same caller; `hash` puts a keyed
 * hash there; `flag` only reports; `pass` does not look.
 */
export type PersonalAction = 'block' | 'mask' | 'tokenise' | 'hash' | 'flag' | 'pass';

export interface PersonalSettings {
  /** By category (`us-ssn`) or class (`id`), in place of what the lists say. */
  readonly actions: Readonly<Record<string, PersonalAction>>;
  /** The operator's own classes. */
  readonly recognisers: readonly Recogniser[];
}

/** `pass` does not look. */
export type ContentAction = 'block' | 'flag' | 'pass';

export interface ContentSettings {
  /** By class (`self-harm`), in place of what the lists say. */
  readonly actions: Readonly<Record<string, ContentAction>>;
}

/** Values of a form of the operator's own: customer numbers and the like. */
export interface Recogniser {
  /** Category in findings and, in upper case, the word in its placeholder. */
  readonly name: string;
  /** Linear-time syntax. */
  readonly pattern: string;
  readonly ignoreCase: boolean;
  /** One of these words must stand shortly before it; none where the list is empty. */
  readonly context: readonly string[];
  /** The check digits it must pass, or null. */
  readonly checksum: 'luhn' | 'mod97' | 'mod11-10' | 'verhoeff' | null;
}

export interface DenyPattern {
  readonly name: string;
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly stages: readonly ('input' | 'output')[];
  readonly action: 'block' | 'redact' | 'flag';
}

/** Whom Sallyport itself may connect to, beyond the servers the configuration names elsewhere. */
export interface EgressSettings {
  /** `host`, `host:port`, `*.domain` or `*.domain:port`; without a port, 443. */
  readonly hosts: readonly string[];
  /** CIDR blocks of private or special addresses that names may resolve to. */
  readonly networks: readonly string[];
  readonly proxy: {
    /** `http(s)://host:port` */
    readonly url: string;
    /** `user:password`, by reference. */
    readonly credential: string | null;
    /** Hosts, `*.domain` and CIDR blocks that are reached directly. */
    readonly except: readonly string[];
  } | null;
}

/** What listeners need beyond their address. Sizes are bytes, times milliseconds. */
export interface HttpSettings {
  readonly corsOrigins: readonly string[];
  /** CIDR blocks of proxies whose `x-forwarded-for` is believed. */
  readonly trustedProxies: readonly string[];
  /** Connections one source address (IPv6: one /64) may hold open; trusted proxies are exempt. */
  readonly maxConnectionsPerAddress: number;
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly keepAliveTimeout: number;
  readonly drainTimeout: number;
}
