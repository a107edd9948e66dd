import assert from 'node:assert/strict';
import { createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { createApiKey, digestApiKey, effectiveRoles } from '@sallyport/access';
import {
  type EntryFacts,
  type GuardSettings,
  type HttpSettings,
  type KeyRecord,
  type LogFields,
  type RiskSettings,
  type Route,
  type Snapshot,
  silentLogger,
  silentMeter,
  systemClock,
  type Upstream,
} from '@sallyport/core';
import { Egress, NO_EGRESS_SETTINGS } from '@sallyport/egress';
import { expectEntry } from '@sallyport/testkit/entry';
import { Gateway, type GatewayOptions, type LedgerPort, type TlsMaterial } from '../src/index.ts';
import type { DigestedTexts } from '../src/ports.ts';

/** A gateway on a free port of loopback with everything in memory, and what it wrote. */
export interface Harness extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  /** A key with the role `user`. */
  readonly key: string;
  readonly entries: EntryFacts[];
  readonly log: { readonly event: string; readonly fields: LogFields }[];
  readonly ledger: MemoryLedger;
  /** The keys of the snapshot, by id. */
  readonly keys: ReadonlyMap<string, KeyRecord>;
  /** Replaces the snapshot, as the control plane would. */
  publish(change: Partial<Snapshot>): void;
  /** A further key. */
  addKey(change: Partial<KeyRecord>): string;
}

export class MemoryLedger implements LedgerPort {
  readonly entries: EntryFacts[] = [];
  /** While set, nothing can be recorded. */
  broken = false;
  /** While set, nothing is, and policy lets requests go on. */
  unrecorded = false;

  async append(given: EntryFacts, texts: DigestedTexts | null = null): Promise<{ readonly seq: number }> {
    if (this.broken) throw new Error('the disk is full');
    if (this.unrecorded) return { seq: -1 };
    const digestOf = (text: Uint8Array | null | undefined, known: string | null): string | null =>
      text == null ? known : this.digest(text);
    const { prompt, reply } = given.digest;
    const facts = { ...given, digest: { prompt: digestOf(texts?.prompt, prompt), reply: digestOf(texts?.reply, reply) } };
    expectEntry(facts);
    return { seq: this.entries.push(facts) - 1 };
  }

  digest(bytes: Uint8Array): string {
    return createHash('sha256').update(bytes).digest('hex');
  }

  startDigest(): { update(bytes: Uint8Array): void; hex(): string } {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
  }

  failing(): boolean {
    return this.broken;
  }
}

export const HTTP: HttpSettings = {
  corsOrigins: [],
  trustedProxies: [],
  maxConnectionsPerAddress: 10_000,
  maxBodyBytes: 1_048_576,
  maxHeaderBytes: 16_384,
  headersTimeout: 2_000,
  bodyTimeout: 1_000,
  keepAliveTimeout: 5_000,
  drainTimeout: 2_000,
};

/** Off: tests are refused again and again; those of the risk turn it on. */
export const RISK: RiskSettings = {
  enabled: false,
  points: { blocked: 20, flagged: 2, authentication: 5, denied: 5, enumeration: 10, limited: 1 },
  halfLife: 600_000,
  throttleAt: 60,
  throttlePerMinute: 60,
  challengeAt: 120,
  blockAt: 200,
  blockFor: 60_000,
  exempt: [],
};

export const GUARD: GuardSettings = {
  input: ['characters', 'length'],
  output: ['characters', 'length'],
  mode: 'transform',
  deny: [],
  onBlock: 'fault',
  onUnavailable: 'block',
  maxTextLength: 1_000_000,
  links: { hosts: [], only: false },
};

export function upstream(url: string, change: Partial<Upstream> = {}): Upstream {
  return {
    name: 'engine',
    kind: 'vllm',
    url,
    socketPath: null,
    maxConcurrency: null,
    connections: 256,
    timeouts: { connect: 500, firstByte: 1_000, idle: 500, total: 10_000 },
    retries: 0,
    // Tests break their servers again and again; those of the breaker turn it on.
    breaker: { failures: 0, open: 1_000, maxOpen: 10_000 },
    queue: { perSlot: 32, wait: 30_000, slowClient: 10_000 },
    credential: null,
    tls: null,
    ...change,
  };
}

export function route(name: string, change: Partial<Route> = {}): Route {
  return { name, upstream: 'engine', target: name, fallback: [], replicas: [], fallbackAnswer: null, ...change };
}

export interface HarnessOptions {
  readonly upstreams: readonly Upstream[];
  readonly routes?: readonly Route[];
  readonly snapshot?: Partial<Snapshot>;
  readonly tls?: TlsMaterial;
  readonly options?: Partial<GatewayOptions>;
  /** Told the first snapshot, for tests that hand it over themselves. */
  readonly onSnapshot?: (snapshot: Snapshot) => void;
}

/** Of every gateway of these tests. */
export const pepper: KeyObject = createSecretKey(randomBytes(32));

export async function startHarness(setup: HarnessOptions): Promise<Harness> {
  const keys = new Map<string, KeyRecord>();
  const addKey = (change: Partial<KeyRecord>): string => {
    const { id, key } = createApiKey({ bytes: (length) => randomBytes(length) }, 'test');
    keys.set(id, {
      id,
      name: id,
      digests: [{ hmac: digestApiKey(pepper, key), until: null }],
      principal: `app:${id}`,
      kind: 'application',
      tenant: 'acme',
      user: null,
      team: null,
      roles: ['user'],
      models: null,
      allowedIps: null,
      expiresAt: null,
      revokedAt: null,
      limits: [],
      ...change,
    });
    return key;
  };
  const key = addKey({});
  let snapshot: Snapshot = {
    version: 1,
    builtAt: Date.now(),
    keys,
    roles: effectiveRoles([]),
    issuers: [],
    certificateIdentities: [],
    prompts: new Map(),
    upstreams: new Map(setup.upstreams.map((one) => [one.name, one])),
    routes: new Map((setup.routes ?? [route('chat')]).map((one) => [one.name, one])),
    limits: [],
    guard: GUARD,
    allowances: [],
    http: HTTP,
    egress: NO_EGRESS_SETTINGS,
    fairness: { tenants: [], priorities: [] },
    risk: RISK,
    ...setup.snapshot,
  };
  setup.onSnapshot?.(snapshot);
  const listeners = new Set<(snapshot: Snapshot) => void>();
  const ledger = new MemoryLedger();
  const log: Harness['log'] = [];
  const write = (event: string, fields: LogFields = {}): void => void log.push({ event, fields });
  const gateway = new Gateway({
    listen: { host: '127.0.0.1', port: 0 },
    tls: setup.tls ?? null,
    snapshots: {
      current: () => snapshot,
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      staleSince: () => null,
    },
    pepper,
    egress: new Egress({ settings: NO_EGRESS_SETTINGS, resolveSecret: () => assert.fail('no proxy'), logger: silentLogger }),
    jwks: { fetch: () => Promise.reject(new Error('no issuer in this test')) },
    ledger,
    resolveSecret: (reference) => {
      throw new Error(`no secret ${reference} in this test`);
    },
    meter: silentMeter,
    logger: { debug: write, info: write, warn: write, error: write },
    clock: systemClock,
    random: { bytes: (length) => randomBytes(length) },
    // A probe would take what a test has queued for its own request.
    probeInterval: 0,
    ...setup.options,
  });
  const { port } = await gateway.start();
  return {
    gateway,
    url: `${setup.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    key,
    entries: ledger.entries,
    log,
    ledger,
    keys,
    publish: (change) => {
      snapshot = { ...snapshot, ...change, version: snapshot.version + 1 };
      for (const listener of listeners) listener(snapshot);
    },
    addKey,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

/** A chat request as a client sends it. */
export function chatBody(change: Record<string, unknown> = {}): string {
  return JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }], ...change });
}

export function post(harness: Harness, path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${harness.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { authorization: `Bearer ${harness.key}`, 'content-type': 'application/json', ...headers },
  });
}
